"""Whether a stream has come to lose more than a level, by bets that may be looked at after every sample.

Whoever bets that the next value is larger than the level R plays a losing game as long as the mean is R or less, and
then multiplies the stake by 1/alpha at any time with probability alpha at most (Ville; Waudby-Smith and Ramdas 2024).
Since a stream may be clean for long before it drifts, a new player begins every so many samples; the k-th one has to
reach 1/alpha_k with alpha_k = 6 alpha / (pi k)^2, so that all of them together raise a false alarm with probability
alpha. The first plays for ever, and of the others those stay whose ages are about powers of a number: slow drifts need
old players.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from offramp.arrays import Float, Int
from offramp.errors import InputError

STAKES = 2.0 ** np.arange(-3, 6)
"""Stakes tried side by side, in units of one over the largest value: good against means from 9/8 of the level up."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the players have won so far.

    Attributes:
        seen: samples.
        total: sum of their values.
        capital: logarithm of what each stake of each player has become.
        player: the number of each player who still plays, from 1.
        alarm: after how many samples a player first reached the goal; None: none has.
    """

    seen: int
    total: float
    capital: Float[np.ndarray, "players stakes"]
    player: Int[np.ndarray, " players"]
    alarm: int | None = None

    @property
    def mean(self) -> float:
        """Of all values; nan before the first."""
        return self.total / self.seen if self.seen else math.nan


@dataclass(frozen=True, slots=True)
class DriftTest:
    """Tests whether the mean of a stream is at most a level.

    A value may be that of a sample drawn with probability p, divided by p, and 0 for those that were not drawn: its
    mean is that of all samples, and the largest one is 1/p.

    Attributes:
        level: R, in (0, `largest`).
        alpha: probability of an alarm, ever, on a stream whose mean never passes the level.
        largest: of all values; none is negative.
        window: samples after which a new player begins.
        players: how many play at most.

    Example:
        >>> test = DriftTest(level=0.1, window=100)
        >>> test.step(test.start(), np.tile([0.0] * 19 + [1.0], 50)).alarm is None
        True
        >>> test.step(test.start(), np.tile([0.0, 1.0], 50)).alarm < 40
        True
    """

    level: float
    alpha: float = 0.01
    largest: float = 1.0
    window: int = 10_000
    players: int = 12

    def __post_init__(self) -> None:
        if not 0.0 < self.level < self.largest < math.inf or not 0.0 < self.alpha < 1.0:
            raise InputError(
                f"expected 0 < level < largest and 0 < alpha < 1, got {self.level}, {self.largest} and {self.alpha}"
            )
        if self.window < 1 or self.players < 2:
            raise InputError(
                f"expected a window of at least 1 and at least 2 players, got {self.window} and {self.players}"
            )

    @property
    def stakes(self) -> Float[np.ndarray, " stakes"]:
        """Those that can never lose everything."""
        found: np.ndarray = STAKES[STAKES * self.level < self.largest] / self.largest
        return found

    def start(self) -> Evidence:
        """Nothing seen, and the first player."""
        return Evidence(0, 0.0, np.zeros((1, self.stakes.size)), np.array([1]))

    def step(self, evidence: Evidence, values: ArrayLike) -> Evidence:
        """The evidence after further values, in their order.

        Raises:
            InputError: if one is negative, larger than `largest`, or no number.
        """
        new = np.asarray(values, dtype=np.float64).ravel()
        if not ((new >= 0.0) & (new <= self.largest)).all():
            raise InputError(
                f"expected values between 0 and {self.largest}, got some beyond; make the test for larger ones"
            )
        while new.size:
            until = self.window - evidence.seen % self.window
            evidence, new = self._within(evidence, new[:until]), new[until:]
            if evidence.seen % self.window == 0:
                evidence = self._another(evidence)
        return evidence

    def _within(self, evidence: Evidence, values: Float[np.ndarray, " some"]) -> Evidence:
        """While nobody begins."""
        steps = np.cumsum(np.log1p(self.stakes[:, None] * (values - self.level)), axis=1)
        after = evidence.capital[:, :, None] + steps
        alarm = evidence.alarm
        if alarm is None:
            won = np.logaddexp.reduce(after, axis=1) - math.log(self.stakes.size)
            reached = (won >= self._goal(evidence.player)[:, None]).any(axis=0)
            alarm = evidence.seen + int(reached.argmax()) + 1 if reached.any() else None
        return replace(
            evidence,
            seen=evidence.seen + values.size,
            total=evidence.total + float(values.sum()),
            capital=after[:, :, -1],
            alarm=alarm,
        )

    def _another(self, evidence: Evidence) -> Evidence:
        begins = evidence.seen // self.window + 1
        capital = np.vstack([evidence.capital, np.zeros(self.stakes.size)])
        player = np.append(evidence.player, begins)
        if len(player) > self.players:
            age = begins + 1 - player
            leaves = 1 + int(np.argmin(age[:-2] / age[2:]))  # whose neighbours are nearest to each other
            capital, player = np.delete(capital, leaves, axis=0), np.delete(player, leaves)
        return replace(evidence, capital=capital, player=player)

    def _goal(self, player: Int[np.ndarray, " players"]) -> Float[np.ndarray, " players"]:
        """Logarithm of what a player has to reach."""
        found: np.ndarray = np.log((math.pi * player) ** 2 / (6.0 * self.alpha))
        return found
