"""What a head is: a reduction without parameters, then a small network."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import nn

from offramp.errors import DataError
from offramp.heads.reduction import At, Mask, Reduction, is_turned
from offramp.heads.stem import Stem, channels_first, drawn


class Head(nn.Module):
    """Logits from a feature: `reduce` (no parameters, cacheable), then `net`.

    Attributes:
        reduction: what it looks at.
        net: from what is reduced to logits.
        width: how many numbers the reduction gives.
        standardised: whether it is trained on standardised numbers, which its first, linear layer absorbs.
    """

    def __init__(self, reduction: Reduction, net: nn.Sequential, width: int, standardised: bool = True) -> None:
        super().__init__()
        self.reduction, self.net, self.width, self.standardised = reduction, net, width, standardised

    def reduce(self, feature: At, mask: Mask = None) -> Float[torch.Tensor, "batch reduced"]:
        """What this head needs of a feature."""
        return self.reduction(feature, mask)

    def predict(self, reduced: Float[torch.Tensor, "batch reduced"]) -> Float[torch.Tensor, "batch classes"]:
        """Logits from a reduced feature.

        Raises:
            DataError: if the feature was too small for what the head was built for.
        """
        if reduced.shape[1] != self.width:
            raise DataError(
                f"expected a feature of which {self.reduction.name} makes {self.width} numbers, got one of which it "
                f"makes {reduced.shape[1]}; give inputs of a size nearer to those of the build, or build a "
                "bundle for these"
            )
        logits: torch.Tensor = self.net(reduced)
        return logits

    def forward(self, feature: At, mask: Mask = None) -> Float[torch.Tensor, "batch classes"]:
        """Logits from a feature, and which of its tokens are no padding."""
        return self.predict(self.reduce(feature, mask))

    def absorb(self, mean: Float[torch.Tensor, " reduced"], scale: Float[torch.Tensor, " reduced"]) -> None:
        """Makes a head that was trained on `(x - mean) * scale` one that takes x, at no cost when it runs."""
        first = self.net[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight.mul_(scale)
            first.bias.sub_(first.weight.double() @ mean.double())  # in double: the mean may dwarf the deviation


@dataclass(frozen=True)
class HeadType:
    """A kind of head.

    Attributes:
        reduction: what it looks at.
        hidden: widths of its hidden linear layers; none: linear.
        dropout: behind each of them, in training.
        stem: layers with weights before them; None: none, and the head is trained on standardised numbers.
    """

    reduction: Reduction
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    stem: Stem | None = None

    def build(
        self, feature_shape: tuple[int, ...], classes: int, generator: torch.Generator, tokens: int | None = None
    ) -> Head:
        """A new head for features of `feature_shape` (without batch axis), initialised from `generator`.

        `tokens`: length of the sequences with which the feature has this shape, where the model takes sequences.
        """
        turned = is_turned(feature_shape, tokens)
        reduction: Reduction = replace(self.reduction, turned=turned)  # type: ignore[type-var]
        width = last = reduction(torch.empty(2, *feature_shape, device="meta")).shape[1]
        layers: list[nn.Module] = []
        if self.stem is not None:
            stem, last = self.stem.build(channels_first(feature_shape, turned), width, generator)
            layers.append(stem)
        for size in self.hidden:
            layers += [_linear(last, size, generator), nn.ReLU(), nn.Dropout(self.dropout)]
            last = size
        layers.append(_linear(last, classes, generator))
        return Head(reduction, nn.Sequential(*layers), width, standardised=self.stem is None)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    return drawn(nn.Linear(inputs, outputs, device="meta"), inputs, generator)
