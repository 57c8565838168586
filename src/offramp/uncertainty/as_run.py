"""What was answered, from what every exit would have said."""

import numpy as np

from offramp.arrays import Float, Int
from offramp.errors import DataError, InputError


def as_run(
    probability: Float[np.ndarray, "*exits samples classes"],
    target: Int[np.ndarray, " samples"],
    exit_index: Int[np.ndarray, " samples"] | None = None,
) -> Float[np.ndarray, "samples classes"]:
    """The probabilities `(samples, classes)` with which each sample was answered.

    Args:
        probability: `(samples, classes)`; or `(exits, samples, classes)`, of which `exit_index` picks one for each.
        target: the class to be held against, only checked here.
        exit_index: where each sample left.

    Raises:
        InputError: if shapes and exits do not fit each other.
        DataError: if there is no sample, a target is no class, or a probability is none.

    Example:
        >>> both = np.array([[[0.6, 0.4], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]])
        >>> as_run(both, np.array([0, 1]), np.array([0, 1])).tolist()
        [[0.6, 0.4], [0.2, 0.8]]
    """
    if (probability.ndim, exit_index is None) not in ((2, True), (3, False)):
        raise InputError(
            f"expected probabilities (samples, classes), or (exits, samples, classes) with exit_index, got the shape "
            f"{probability.shape} with{'out' if exit_index is None else ''} exit_index"
        )
    if exit_index is not None:
        if (
            exit_index.shape != probability.shape[1:2]
            or not ((exit_index >= 0) & (exit_index < len(probability))).all()
        ):
            raise InputError(
                f"expected an exit in 0..{len(probability) - 1} for each of {probability.shape[1]} samples, "
                f"got {exit_index.shape} in {exit_index.min(initial=0)}..{exit_index.max(initial=0)}"
            )
        probability = probability[exit_index, np.arange(len(exit_index))]
    samples, classes = probability.shape
    if target.shape != (samples,) or samples == 0:
        raise DataError(f"expected a target for each of at least one sample, got {target.shape} for {samples} samples")
    if target.min() < 0 or target.max() >= classes:
        raise DataError(f"expected targets in 0..{classes - 1}, got {target.min()}..{target.max()}")
    if not ((probability >= 0) & (probability <= 1 + 1e-6)).all():  # also refuses NaN
        raise DataError("expected probabilities in [0, 1]; apply softmax to logits first, and once")
    return probability
