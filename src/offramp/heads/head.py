"""What a head is: a reduction without parameters, then a small network."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import nn

from offramp.errors import DataError
from offramp.heads.earlier import Cascade, Earlier, Ensemble
from offramp.heads.reduction import At, Mask, Reduction, is_turned
from offramp.heads.stem import Stem, channels_first, drawn


class Head(nn.Module):
    """Logits from a feature: `reduce` (no parameters, cacheable), then `net`.

    Attributes:
        reduction: what it looks at.
        net: from what is reduced to logits.
        width: how many numbers the reduction gives.
        standardised: whether it is trained on standardised numbers, which its first, linear layer absorbs.
        hears: whether it is one of several that hear what the ones before said.
        cascade: what it makes of the answer before; None: nothing.
        ensemble: what makes its answer of what it and those before said; None: it answers alone.
    """

    def __init__(
        self,
        reduction: Reduction,
        net: nn.Sequential,
        width: int,
        standardised: bool = True,
        hears: bool = False,
        cascade: Cascade | None = None,
        ensemble: Ensemble | None = None,
    ) -> None:
        super().__init__()
        self.reduction, self.net, self.width, self.standardised = reduction, net, width, standardised
        self.hears, self.cascade, self.ensemble = hears, cascade, ensemble

    def reduce(self, feature: At, mask: Mask = None) -> Float[torch.Tensor, "batch reduced"]:
        """What this head needs of a feature."""
        return self.reduction(feature, mask)

    def predict(
        self, reduced: Float[torch.Tensor, "batch reduced"], previous: torch.Tensor | None = None
    ) -> Float[torch.Tensor, "batch classes"]:
        """Logits from a reduced feature, and of the exit before the logits or log-probabilities; None counts as zeros.

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
        return logits if self.cascade is None or previous is None else logits + self.cascade(previous)

    def answer(
        self, number: int, reduced: Float[torch.Tensor, "batch reduced"], earlier: Earlier = ()
    ) -> tuple[Float[torch.Tensor, "batch classes"], Earlier]:
        """The logits that exit `number` answers with, and what later ones hear."""
        logits = self.predict(reduced, earlier[-1][1] if earlier else None)
        if not self.hears:
            return logits, earlier
        heard = (*earlier, (number, logits.log_softmax(dim=1)))
        return (logits if self.ensemble is None else self.ensemble(heard)), heard

    def macs_heard(self) -> float:
        """Multiply-accumulates that hearing the others takes, per sample."""
        mixed = 0 if self.ensemble is None else len(self.ensemble.weight) * len(self.ensemble.bias)
        seen = [] if self.cascade is None else self.cascade.parameters()
        return float(mixed + sum(weight.numel() for weight in seen))

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

    def absorb_outputs(self, mean: Float[torch.Tensor, " values"], scale: Float[torch.Tensor, " values"]) -> None:
        """Makes a head that says `(value - mean) * scale`, and the log spreads of that, one that says values.

        Its outputs are values, then the logarithms of their spreads; it hears no other head.
        """
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        count, mean, scale = len(mean), mean.double(), scale.double()
        with torch.no_grad():
            weight, bias = last.weight.double(), last.bias.double()
            last.weight[:count] = (weight[:count] / scale[:, None]).to(last.weight.dtype)
            last.bias[:count] = (bias[:count] / scale + mean).to(last.bias.dtype)
            last.bias[count:] = (bias[count:] - scale.log()).to(last.bias.dtype)


@dataclass(frozen=True)
class HeadType:
    """A kind of head.

    Attributes:
        reduction: what it looks at.
        hidden: widths of its hidden linear layers; none: linear.
        dropout: behind each of them, in training.
        stem: layers with weights before them; None: none, and the head is trained on standardised numbers.
        cascade: whether its last layer sees what the exit before said.
        ensemble: whether it answers together with the exits before.
    """

    reduction: Reduction
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    stem: Stem | None = None
    cascade: bool = False
    ensemble: bool = False

    @property
    def hears(self) -> bool:
        """Whether it has to do with what earlier exits said."""
        return self.cascade or self.ensemble

    def build(
        self,
        feature_shape: tuple[int, ...],
        classes: int,
        generator: torch.Generator,
        tokens: int | None = None,
        number: int = 0,
    ) -> Head:
        """A new head for features of `feature_shape` (without batch axis), initialised from `generator`.

        Args:
            feature_shape: without batch axis.
            classes: how many logits it gives.
            generator: draws the initial weights.
            tokens: length of the sequences with which the feature has this shape, where the model takes sequences.
            number: of its exit, by depth.
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
        return Head(
            reduction,
            nn.Sequential(*layers),
            width,
            standardised=self.stem is None,
            hears=self.hears,
            cascade=Cascade(classes, generator) if self.cascade and number else None,
            ensemble=Ensemble(number + 1, classes) if self.ensemble else None,
        )


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
    return drawn(nn.Linear(inputs, outputs, device="meta"), inputs, generator)
