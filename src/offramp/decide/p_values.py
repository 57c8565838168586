"""How unlikely so few losses would be if the risk were larger than a level: p-values for means of bounded losses."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float
from offramp.scientific import scipy


def _special() -> Any:
    return scipy("special", "certificates")


def binomial_p_value(errors: int, n: int, epsilon: float) -> float:
    """P(Bin(n, epsilon) <= errors): exact p-value of "the risk exceeds epsilon" for losses in {0, 1}.

    Example:
        >>> round(binomial_p_value(5, 1000, 0.01), 3)
        0.066
    """
    return float(_special().bdtr(errors, n, epsilon))


def clopper_pearson_upper(errors: int, n: int, delta: float) -> float:
    """Upper bound on the probability of an error that holds with probability >= 1 - delta (Clopper and
    Pearson 1934).

    It is the smallest epsilon with `binomial_p_value(errors, n, epsilon) <= delta`.

    Example:
        >>> round(clopper_pearson_upper(5, 1000, 0.1), 4)
        0.0093
    """
    return 1.0 if errors >= n else float(_special().betaincinv(errors + 1, n - errors, 1.0 - delta))


def clopper_pearson_interval(errors: int, n: int, delta: float = 0.05) -> tuple[float, float]:
    """The two-sided interval that holds the probability of an error with probability >= 1 - delta.

    Example:
        >>> low, high = clopper_pearson_interval(5, 1000)
        >>> round(low, 4), round(high, 4)
        (0.0016, 0.0116)
    """
    return 1.0 - clopper_pearson_upper(n - errors, n, delta / 2), clopper_pearson_upper(errors, n, delta / 2)


def hoeffding_bentkus_p_value(mean: float, n: int, epsilon: float) -> float:
    """P-value of "the risk exceeds epsilon" for losses in [0, 1] with the given mean.

    min(exp(-n KL(min(mean, epsilon) || epsilon)), e P(Bin(n, epsilon) <= ceil(n mean))); Bates et al. 2021.

    Example:
        >>> round(hoeffding_bentkus_p_value(0.005, 1000, 0.01), 3)
        0.18
    """
    low, special = min(mean, epsilon), _special()
    divergence = special.rel_entr(low, epsilon) + special.rel_entr(1.0 - low, 1.0 - epsilon)
    # A mean k/n can come back as n mean = k + 1 ulp, which must not count as k + 1.
    ceiling = math.ceil(n * mean * (1.0 - 2.0**-50))
    return float(min(1.0, math.exp(-n * divergence), math.e * special.bdtr(ceiling, n, epsilon)))


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the losses of some points say against "the risk exceeds epsilon".

    Attributes:
        total: sum of the losses of each point, in [0, n].
        n: number of samples.
        binary: whether all losses are 0 or 1, so that the exact test holds.
    """

    total: Float[np.ndarray, " points"]
    n: int
    binary: bool

    @classmethod
    def of(cls, losses: Float[np.ndarray, "points samples"]) -> "Evidence":
        """The evidence of losses, those below 0 (lucky gains) taken for 0.

        Example:
            >>> Evidence.of(np.array([[0.0, 1.0, -1.0]])).total
            array([1.])
        """
        clipped = np.clip(losses, 0.0, 1.0)
        return cls(clipped.sum(axis=1), losses.shape[1], bool(((clipped == 0.0) | (clipped == 1.0)).all()))

    @property
    def test(self) -> str:
        """The name of the test."""
        return "exact binomial" if self.binary else "Hoeffding-Bentkus"

    def p_values(self, epsilon: float) -> Iterator[float]:
        """The p-value of each point, in their order, when it is asked for."""
        for total in self.total.tolist():
            if self.binary:
                yield binomial_p_value(round(total), self.n, epsilon)
            else:
                yield hoeffding_bentkus_p_value(total / self.n, self.n, epsilon)
