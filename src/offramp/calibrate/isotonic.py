"""Isotonic calibration of the top class (Zadrozny and Elkan 2002), as logits."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float
from offramp.calibrate.calibrator import Target
from offramp.calibrate.parametric import like
from offramp.calibrate.temperature import check_target, negative_log_likelihood
from offramp.scientific import scipy

BINS, LEAST = 30, 10
"""Bins of equal mass that the regression sees at most, and samples in each at least: steps between single samples would
be so steep that rounding decides who leaves."""

TILT, WIDTH = 0.005, 4.0
"""Weight of a curve that rises everywhere, sigmoid(odds / 4), which keeps apart what the regression ties."""

APART = 0.01
"""Knots nearer to the one before are left out, for the same reason."""

GAP = 1e-3
"""How far above the second logit the first one stays, where it is that far."""


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Gives the top class the probability of being right that samples of its confidence had; keeps the class.

    The confidence is read as log odds, m = log p/(1 - p) of the largest probability p, which have the same order and do
    not saturate. Between knots the probability is linear in m, outside it is that of the outermost knot. To that 1/200
    of an always rising curve is mixed, so that equal probabilities mean equal confidences. All other classes share the
    rest in proportion; where the probability is so low that the class would lose its place, it gets the lowest that
    keeps it.

    Attributes:
        odds: log odds of the knots, rising; empty before `fit`, which changes nothing.
        probability: of being right, at each knot, not falling.

    Example:
        >>> half = Isotonic((-1.0, 3.0), (0.5, 0.75))(np.array([[1.0, 0.0]]))
        >>> [round(float(p), 3) for p in np.exp(half[0]) / np.exp(half[0]).sum()]
        [0.625, 0.375]
    """

    odds: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()

    def fit(self, logits: Float[np.ndarray, "samples classes"], target: Target) -> "Isotonic":
        """The isotonic regression of "the top class is `target`" on confidence, by pooling adjacent violators.

        The regression is of rates in bins of equal mass, to which half a sample that was right is added at the lowest
        confidence and half a wrong one at the highest, so that nothing is certain; its knots are the means of the
        pooled blocks. Where that does not make `target` likelier than it was, as on logits that
        are right already, nothing is changed.

        Example:
            >>> logits = np.linspace(0.0, 6.0, 200)[:, None] * np.array([[1.0, 0.0]])
            >>> fitted = Isotonic().fit(logits, np.arange(200) % 2)
            >>> bool(abs(fitted.probability[-1] - 0.5) < 0.1)
            True
        """
        check_target(logits, target)
        if logits.shape[1] < 2:
            return Isotonic()
        wide = logits.astype(np.float64)
        odds, top = _odds(wide), wide.argmax(axis=1)
        right = top == target if target.ndim == 1 else np.take_along_axis(target, top[:, None], axis=1)[:, 0]
        fitted = Isotonic(*_knots(odds, right))
        before, after = (negative_log_likelihood(each, target) for each in (wide, fitted(wide)))
        return fitted if after <= before else Isotonic()

    @property
    def arrays(self) -> tuple[Float[np.ndarray, " knots"], ...]:
        """Where each segment ends, its length, how fast the probability of being wrong falls along it, and what it is
        at the last knot; without the tilt.

        Counted from the confident end, small probabilities are sums of small numbers, and keep their digits.
        """
        if not self.odds:
            return ()
        x, wrong = np.array(self.odds), (1.0 - np.array(self.probability)) * (1.0 - TILT)
        if len(x) == 1:
            return x, np.ones(1), np.zeros(1), wrong
        return x[1:], np.diff(x), -np.diff(wrong) / np.diff(x), wrong[-1:]

    def apply(self, logits: Any, *arrays: Any) -> Any:
        """Calibrated logits: only that of the top class changes."""
        if not arrays or logits.shape[1] < 2:
            return logits
        return _of_array(logits, *arrays) if isinstance(logits, np.ndarray) else _of_tensor(logits, *arrays)

    def __call__(self, logits: Any) -> Any:
        """Calibrated logits, for a NumPy array or a torch tensor."""
        return self.apply(logits, *(like(logits, array) for array in self.arrays))


def _knots(odds: np.ndarray, right: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Log odds and probability of the blocks of the isotonic regression."""
    bins = max(1, min(BINS, len(odds) // LEAST))
    edges = np.unique(np.quantile(odds, np.arange(1, bins) / bins))
    index = np.searchsorted(edges, odds, side="right")
    held = np.bincount(index, minlength=len(edges) + 1) > 0  # a bin may be empty where many samples tie
    summed = (np.bincount(index, values, len(held))[held] for values in (np.ones(len(odds)), odds, right))
    weight, total, good = summed
    centre = total / weight
    good[0] += 0.5
    weight[0] += 0.5
    weight[-1] += 0.5
    found = scipy("optimize", "isotonic calibration").isotonic_regression(good / weight, weights=weight)
    starts = found.blocks[:-1]
    centre = np.add.reduceat(centre * weight, starts) / np.add.reduceat(weight, starts)
    kept = [0]
    kept += [knot for knot in range(1, len(centre)) if centre[knot] - centre[knot - 1] >= APART]
    return tuple(centre[kept].tolist()), tuple(found.x[starts][kept].tolist())


def _odds(logits: np.ndarray) -> np.ndarray:
    """Log odds of the largest probability, (N,)."""
    first, _, rest, _ = _parts(logits)
    odds: np.ndarray = (first - rest)[:, 0]
    return odds


def _parts(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Largest logit, second, log-sum-exp of all but the largest, and the index of the largest; each (N, 1)."""
    index = logits.argmax(axis=1, keepdims=True)
    others = logits.copy()
    np.put_along_axis(others, index, -np.inf, axis=1)
    second = others.max(axis=1, keepdims=True)
    rest = second + np.log(np.exp(others - second).sum(axis=1, keepdims=True))
    return np.take_along_axis(logits, index, axis=1), second, rest, index


def _of_array(
    logits: np.ndarray, end: np.ndarray, length: np.ndarray, slope: np.ndarray, least: np.ndarray
) -> np.ndarray:
    first, second, rest, index = _parts(logits)
    odds = first - rest
    wrong = least + (np.minimum(np.maximum(end - odds, 0), length) * slope).sum(axis=1, keepdims=True)
    wrong = wrong + TILT / (1 + np.exp(np.minimum(odds / WIDTH, 80)))
    fitted = rest + np.log1p(-wrong) - np.log(wrong)
    found = logits.copy()
    np.put_along_axis(found, index, np.maximum(fitted, second + np.minimum(first - second, GAP)), axis=1)
    return found


def _of_tensor(logits: Any, end: Any, length: Any, slope: Any, least: Any) -> Any:
    """The same in torch, of operations that every exporter has."""
    index = logits.argmax(1, keepdim=True)
    first, others = logits.gather(1, index), logits.scatter(1, index, float("-inf"))
    second = others.amax(1, keepdim=True)
    rest = second + (others - second).exp().sum(1, keepdim=True).log()
    odds = first - rest
    wrong = least + ((end - odds).clamp(min=0).minimum(length) * slope).sum(1, keepdim=True)
    wrong = wrong + TILT * (odds * (-1 / WIDTH)).sigmoid()
    return logits.scatter(1, index, (rest - wrong.logit()).maximum(second + (first - second).clamp(max=GAP)))
