"""Watches who leaves while a model runs: where too few do, the uncut model is faster. Free of torch."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int

HORIZON = 500
"""Samples over which the exit shares are averaged."""

PROBE = 100
"""While the uncut model runs, one batch in so many is tried with its exits, to see whether they leave again."""


@dataclass(frozen=True, eq=False)
class Times:
    """What leaving at each exit takes, as shares of the uncut model's time; the last is that of never leaving.

    Attributes:
        leaving: one number per exit, the backbone's last; with heads and cuts, so that the last is above 1.
        share: which share of the samples left at each when it was measured.
    """

    leaving: Float[np.ndarray, " exits"]
    share: Float[np.ndarray, " exits"]

    @property
    def break_even(self) -> float | None:
        """Which share has to leave early, spread over the exits as measured, to be as fast as the uncut model.

        None where that many cannot leave, or nobody left when it was measured.

        >>> round(Times(np.array([0.5, 1.1]), np.array([0.6, 0.4])).break_even, 4)
        0.1667
        """
        early = float(self.share[:-1].sum())
        if early == 0.0:
            return None
        left, never = float(self.leaving[:-1] @ self.share[:-1]) / early, float(self.leaving[-1])
        if never <= 1.0:
            return 0.0
        needed = (never - 1.0) / (never - left) if never > left else np.inf
        return needed if needed <= 1.0 else None


class Guard:
    """Says before each batch whether to leave early, from an exponentially weighted mean of the exit shares.

    Threads may share it; at worst it forgets a batch.
    """

    def __init__(self, times: Times, horizon: int = HORIZON, probe: int = PROBE) -> None:
        """Begins with the shares that were measured."""
        self._leaving, self._share = times.leaving, times.share.astype(np.float64)
        self._horizon, self._probe, self._skipped = horizon, probe, 0

    @property
    def expected(self) -> float:
        """Time as a share of the uncut model's, were samples to leave as they did of late."""
        return float(self._leaving @ self._share)

    def early(self) -> bool:
        """Whether the next batch is to leave early: where that is faster, and now and then to see."""
        if self.expected < 1.0:
            return True
        self._skipped += 1
        if self._skipped < self._probe:
            return False
        self._skipped = 0
        return True

    def saw(self, exit_index: Int[np.ndarray, " batch"]) -> None:
        """Learns at which exits the samples of a batch left."""
        samples = len(exit_index)
        here = np.bincount(exit_index, minlength=len(self._share)) / samples
        weight = 1.0 - (1.0 - 1.0 / self._horizon) ** samples
        self._share = (1.0 - weight) * self._share + weight * here
