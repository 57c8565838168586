"""An upper bound on a mean by betting against it (Waudby-Smith and Ramdas 2024, as RCPS and Jazbec et al. use it).

Whoever bets on each next loss to be smaller than R plays a fair or a losing game if the mean is R or more, and then
hardly ever multiplies the stake by 1/delta. The stakes adapt to the variance seen so far, so the bound is sharp where
losses are nearly the same, and losses may be negative: only their upper limit counts.
"""

import math

import numpy as np

from offramp.arrays import Float

STEPS = 60
"""Halvings of the interval in which the bound is searched: to the last bit that matters."""


def log_capital(
    losses: Float[np.ndarray, " samples"], level: float, delta: float, largest: float = 1.0
) -> Float[np.ndarray, " samples"]:
    """Logarithm of the stake's multiple after each loss, betting that the mean is below `level`.

    K_i = prod over j <= i of 1 - nu_j (x_j - R), where nu_j = min(1/B, sqrt(2 ln(1/delta) / (n v_{j-1}))),
    v_j = (1/4 + sum over k <= j of (x_k - mu_k)^2) / (1 + j) and mu_j = (1/2 + sum over k <= j of x_k) / (1 + j).

    Args:
        losses: `x`, independent draws in the order of the bets, each at most `largest`.
        level: `R`, in (0, `largest`].
        delta: what the stakes are tuned to.
        largest: `B`.

    Example:
        >>> float(np.exp(log_capital(np.zeros(1000), 0.01, 0.1)[-1])) > 10
        True
    """
    n = losses.size
    mean = (0.5 + np.cumsum(losses)) / (1.0 + np.arange(1, n + 1))
    spread = (0.25 + np.cumsum((losses - mean) ** 2)) / (1.0 + np.arange(1, n + 1))
    before = np.append(0.25, spread)[:-1]
    stake = np.minimum(1.0 / largest, np.sqrt(2.0 * math.log(1.0 / delta) / (n * before)))
    with np.errstate(divide="ignore"):  # all is lost on a loss of B at R = 0
        capital: np.ndarray = np.cumsum(np.log1p(-stake * (losses - level)))
    return capital


def betting_p_value(losses: Float[np.ndarray, " samples"], epsilon: float, delta: float, largest: float = 1.0) -> float:
    """P-value of "the mean is epsilon or more": one over the largest multiple that the stake ever reached (Ville).

    It is <= delta exactly where `betting_upper` is <= epsilon, since the capital rises with R.

    Example:
        >>> betting_p_value(np.zeros(1000), 0.01, 0.1) < 0.1 < betting_p_value(np.zeros(100), 0.01, 0.1)
        True
    """
    best = float(log_capital(losses, epsilon, delta, largest).max(initial=0.0))
    return math.exp(-best)


def betting_upper(losses: Float[np.ndarray, " samples"], delta: float, largest: float = 1.0) -> float:
    """The bound itself: sup of the R in [0, B] with max over i of K_i(R) <= 1/delta. It holds with probability >= 1 -
    delta.

    Example:
        >>> round(betting_upper(np.zeros(1000), 0.1), 4)
        0.0024
    """
    low, high = 0.0, largest
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        if betting_p_value(losses, middle, delta, largest) >= delta:
            low = middle
        else:
            high = middle
    return high
