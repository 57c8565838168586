"""What training has cost: steps, samples and multiply-accumulates of the backbone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Spent:
    """Counts, of one phase or of several.

    A backward is counted as two forwards of the part of the backbone that it goes through (one for the gradients of
    the weights, one for those of the features), from the deepest exit that counts up to the earliest part that learns;
    where only a head or the classifier learns it goes through none. Heads are not counted.

    Attributes:
        steps: of the optimizer.
        samples: taken in over all steps.
        forward: MACs of the backbone's forwards.
        backward: MACs of the backbone's backwards.
        original: MACs of the user's model where it was imitated.
        checks: MACs of the forwards on the held part.
    """

    steps: int = 0
    samples: int = 0
    forward: float = 0.0
    backward: float = 0.0
    original: float = 0.0
    checks: float = 0.0

    @property
    def macs(self) -> float:
        """All MACs."""
        return self.forward + self.backward + self.original + self.checks

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def checked(self, samples: int, upto: float) -> "Spent":
        """With one more look at the held part, each sample at `upto` MACs."""
        return replace(self, checks=self.checks + samples * upto)


def step_macs(
    samples: int, upto: Sequence[float], deepest: int, weighed: int, first: int | None, original: bool
) -> Spent:
    """What one step costs.

    Args:
        samples: of its batch.
        upto: MACs of the backbone up to each exit, per sample; the last is the whole.
        deepest: the deepest exit that is evaluated.
        weighed: the deepest exit that counts.
        first: stage of the earliest part of the backbone that learns; None: none does.
        original: whether the user's model is asked, too.

    >>> step_macs(2, (1.0, 3.0, 4.0), deepest=2, weighed=1, first=1, original=True)
    Spent(steps=1, samples=2, forward=8.0, backward=8.0, original=8.0, checks=0.0)
    """
    begins = 0.0 if first == 0 else upto[first - 1] if first else upto[-1]
    return Spent(
        steps=1,
        samples=samples,
        forward=samples * upto[deepest],
        backward=samples * 2 * max(0.0, upto[weighed] - begins),
        original=samples * upto[-1] * original,
    )
