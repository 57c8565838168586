"""How much the loss of each exit counts at each step.

`shares` is what the backbone has cost up to each exit, as a share of the whole: `(exits,)`, the last is 1. A weight of
0 means that the exit is not looked at in that step: its head gets no gradient, and no optimizer step either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from offramp.errors import InputError


@runtime_checkable
class ExitWeights(Protocol):
    """A weight for each exit, by progress."""

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights at `step` (from 0) of `steps`, one per exit, the backbone's own output last."""
        ...


@dataclass(frozen=True)
class Given:
    """The same weights at every step, written down."""

    weights: tuple[float, ...]

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights."""
        if len(self.weights) != len(shares):
            raise InputError(
                f"expected one weight per exit, the last exit included, got {len(self.weights)} weights for "
                f"{len(shares)} exits; give {len(shares)}"
            )
        return self.weights


@dataclass(frozen=True)
class Line:
    """Evenly from `first` at the first exit to `last` at the last one.

    BranchyNet (Teerapittayanon et al. 2016) names no general rule; its released code counts every exit once, and its
    example weighs the first exit 1.0 and the last one 0.3.

    >>> Line(1.0, 0.5).at(0, 1, (0.2, 0.6, 1.0))
    (1.0, 0.75, 0.5)
    """

    first: float = 1.0
    last: float = 1.0

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights, which depend on the number of exits alone."""
        most = max(len(shares) - 1, 1)
        return tuple(self.first + (self.last - self.first) * index / most for index in range(len(shares)))


@dataclass(frozen=True)
class Mean:
    """1 / K for each of K exits (Kubaty et al. 2025).

    Attributes:
        final: whether the backbone's own output takes part. Where it does not, it is still one of the K, as in the
            released code: the heads of a frozen backbone see 1 / K of their gradient.

    >>> Mean(final=False).at(0, 1, (0.2, 0.6, 0.8, 1.0))
    (0.25, 0.25, 0.25, 0.0)
    """

    final: bool = True

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights, which depend on the number of exits alone."""
        count = len(shares)
        return (1.0 / count,) * (count - 1) + ((1.0 / count) if self.final else 0.0,)


@dataclass(frozen=True)
class Only:
    """One exit counts, once; -1 is the backbone's own output."""

    exit_index: int = -1

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """1 for that exit, 0 for the others."""
        wanted = range(len(shares))[self.exit_index]
        return tuple(float(index == wanted) for index in range(len(shares)))


@dataclass(frozen=True)
class ByDepth:
    """j / sum of all j, exits counted from 1 (PABEE, Zhou et al. 2020).

    >>> ByDepth().at(0, 1, (0.3, 1.0))
    (0.3333333333333333, 0.6666666666666666)
    """

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights, which depend on the number of exits alone."""
        total = len(shares) * (len(shares) + 1) / 2
        return tuple(number / total for number in range(1, len(shares) + 1))


@dataclass(frozen=True)
class Ramp:
    """tau_i(t) = min(C_i, start + C_i t / T), and 1 for the last exit (SDN, Kaya et al. 2019).

    C_i is the share of the backbone's cost up to exit i; SDN placed its exits so that C = .15, .30, ... .90. t counts
    steps here, epochs there.

    >>> Ramp().at(50, 100, (0.3, 1.0))
    (0.16, 1.0)
    """

    start: float = 0.01

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights at that progress."""
        inner = tuple(min(share, self.start + share * step / steps) for share in shares[:-1])
        return (*inner, 1.0)


@dataclass(frozen=True)
class Alternating:
    """Odd steps (the first, the third, ...) with some weights, even ones with others (BERxiT, Xin et al. 2021).

    By default the last exit alone, then all exits once.
    """

    odd: ExitWeights = field(default_factory=Only)
    even: ExitWeights = field(default_factory=Line)

    def at(self, step: int, steps: int, shares: Sequence[float]) -> tuple[float, ...]:
        """The weights of one or the other; step 0 is the first and so an odd one."""
        return (self.even if step % 2 else self.odd).at(step, steps, shares)


def taking_part(weights: ExitWeights, steps: int, shares: Sequence[float]) -> tuple[int, ...]:
    """The exits that count at some step, as far as the first two, the middle and the last one show."""
    looked = {0, min(1, steps - 1), steps // 2, steps - 1}
    found = [weights.at(step, steps, shares) for step in looked]
    return tuple(index for index in range(len(shares)) if any(row[index] for row in found))
