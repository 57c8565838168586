"""What an exit is taught while the backbone learns, too: labels, the original model, or the exits behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch.nn import functional as F

from offramp.errors import DataError
from offramp.train.distil import Distil


@dataclass(frozen=True, eq=False)
class Said:
    """What is known about one batch.

    Attributes:
        by_exit: logits `(batch, classes)` of every exit that was evaluated, by its number.
        last: number of the backbone's own output.
        original: logits of the user's model, without gradient; None where no loss asks for them.
        labels: class indices; None where no loss asks for them.
    """

    by_exit: Mapping[int, Float[torch.Tensor, "batch classes"]]
    last: int
    original: Float[torch.Tensor, "batch classes"] | None = None
    labels: Int[torch.Tensor, " batch"] | None = None


@runtime_checkable
class ExitLoss(Protocol):
    """The loss of one exit on a batch."""

    @property
    def needs_labels(self) -> bool:
        """Whether labels are read."""
        ...

    @property
    def needs_original(self) -> bool:
        """Whether the user's model is asked, too; it costs one more forward."""
        ...

    @property
    def needs_later(self) -> bool:
        """Whether later exits are looked at, so that all of them have to be evaluated."""
        ...

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The mean loss of exit `exit_index` over the batch."""
        ...


@dataclass(frozen=True)
class FromLabels:
    """Cross-entropy with the labels."""

    needs_labels: bool = field(default=True, init=False)
    needs_original: bool = field(default=False, init=False)
    needs_later: bool = field(default=False, init=False)

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The mean cross-entropy."""
        if said.labels is None:
            raise DataError("expected labels for a loss from labels, got none; add labels, or use FromOriginal")
        return F.cross_entropy(said.by_exit[exit_index], said.labels)


@dataclass(frozen=True)
class FromOriginal:
    """T² KL(user's model ‖ exit), for every exit and the trained backbone's own output; needs no labels.

    The backbone is held to what it said before, so that exits cannot buy their accuracy with its own.
    """

    temperature: float = 2.0
    needs_labels: bool = field(default=False, init=False)
    needs_original: bool = field(default=True, init=False)
    needs_later: bool = field(default=False, init=False)

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The mean divergence from the user's model."""
        if said.original is None:
            raise DataError("expected the logits of the original model, got none; hand them to Said(original=...)")
        return Distil(self.temperature).loss(said.by_exit[exit_index], said.original, None)


@dataclass(frozen=True)
class FromLast:
    """T² KL(last exit ‖ exit), the teacher detached (Phuong and Lampert 2019); the last exit learns by `anchor`."""

    anchor: ExitLoss = field(default_factory=FromLabels)
    temperature: float = 2.0
    needs_later: bool = field(default=True, init=False)

    @property
    def needs_labels(self) -> bool:
        """Where the anchor does."""
        return self.anchor.needs_labels

    @property
    def needs_original(self) -> bool:
        """Where the anchor does."""
        return self.anchor.needs_original

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The mean divergence from the last exit; of the last exit, its anchor."""
        if exit_index == said.last:
            return self.anchor.of(exit_index, said)
        return Distil(self.temperature).loss(said.by_exit[exit_index], said.by_exit[said.last].detach(), None)


@dataclass(frozen=True)
class FromLater:
    """The mean of T² KL(later ‖ exit) over all later exits, teachers detached; the last exit learns by `anchor`."""

    anchor: ExitLoss = field(default_factory=FromLabels)
    temperature: float = 2.0
    needs_later: bool = field(default=True, init=False)

    @property
    def needs_labels(self) -> bool:
        """Where the anchor does."""
        return self.anchor.needs_labels

    @property
    def needs_original(self) -> bool:
        """Where the anchor does."""
        return self.anchor.needs_original

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The mean divergence from every later exit; of the last exit, its anchor."""
        if exit_index == said.last:
            return self.anchor.of(exit_index, said)
        pair, mine = Distil(self.temperature), said.by_exit[exit_index]
        later = range(exit_index + 1, said.last + 1)
        return torch.stack([pair.loss(mine, said.by_exit[other].detach(), None) for other in later]).mean()


@dataclass(frozen=True)
class Blend:
    """The sum of several losses, each times its factor: labels and distillation together."""

    parts: tuple[tuple[float, ExitLoss], ...]

    @property
    def needs_labels(self) -> bool:
        """Where one of them does."""
        return any(loss.needs_labels for _, loss in self.parts)

    @property
    def needs_original(self) -> bool:
        """Where one of them does."""
        return any(loss.needs_original for _, loss in self.parts)

    @property
    def needs_later(self) -> bool:
        """Where one of them does."""
        return any(loss.needs_later for _, loss in self.parts)

    def of(self, exit_index: int, said: Said) -> Float[torch.Tensor, ""]:
        """The weighted sum."""
        return torch.stack([factor * loss.of(exit_index, said) for factor, loss in self.parts]).sum()
