"""What a head is: a reduction without parameters, then a small network."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import nn

from offramp.errors import DataError
from offramp.heads.reduction import Mask, Reduction, is_turned


class Head(nn.Module):
    """Logits from a feature: `reduce` (no parameters, cacheable), then `net`, whose first layer is linear."""

    def __init__(self, reduction: Reduction, net: nn.Sequential) -> None:
        super().__init__()
        self.reduction = reduction
        self.net = net

    @property
    def width(self) -> int:
        """How many numbers the reduction gives."""
        first = self.net[0]
        assert isinstance(first, nn.Linear)
        return first.in_features

    def reduce(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch reduced"]:
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

    def forward(
        self, feature: Float[torch.Tensor, "batch ..."], mask: Mask = None
    ) -> Float[torch.Tensor, "batch classes"]:
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
    """A kind of head: its reduction, its hidden layers (none: linear) and its dropout in training."""

    reduction: Reduction
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0

    def build(
        self, feature_shape: tuple[int, ...], classes: int, generator: torch.Generator, tokens: int | None = None
    ) -> Head:
        """A new head for features of `feature_shape` (without batch axis), initialised from `generator`.

        `tokens`: length of the sequences with which the feature has this shape, where the model takes sequences.
        """
        reduction: Reduction = replace(self.reduction, turned=is_turned(feature_shape, tokens))  # type: ignore[type-var]
        width = reduction(torch.empty(2, *feature_shape, device="meta")).shape[1]
        layers: list[nn.Module] = []
        last = width
        for size in self.hidden:
            layers += [_linear(last, size, generator), nn.ReLU(), nn.Dropout(self.dropout)]
            last = size
        layers.append(_linear(last, classes, generator))
        return Head(reduction, nn.Sequential(*layers))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with torch's default initialisation, drawn from `generator` instead of the global state."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    bound = inputs**-0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
