"""Figures read off fronts, and their spread over runs."""

import numpy as np

from offramp.evaluation import Evaluation


def cost_within(evaluation: Evaluation, drop: float) -> float:
    """Lowest cost among the operating points that lose at most `drop` points of accuracy on the evaluated samples."""
    return min(p.cost_ratio for p in evaluation.points if (p.accuracy_drop or 0.0) <= drop + 1e-9)


def spread(values: list[float]) -> dict[str, float]:
    """Mean, sample standard deviation, smallest and largest."""
    array = np.array(values)
    return {"mean": array.mean(), "sd": array.std(ddof=1), "min": array.min(), "max": array.max()}
