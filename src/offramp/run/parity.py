"""Whether exported stages answer as the stages they were made of."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from offramp.errors import CaptureError
from offramp.run.routing import StageFile
from offramp.run.stage import Stage, State
from offramp.run.staged import Staged

TOLERANCE = 1e-3
"""Largest difference, relative to the largest value, at which an exported stage counts as the same."""

BATCHES = (2, 1, 3)
"""Batch sizes at which it is looked at."""


def check(
    stages: Sequence[Stage], files: Sequence[StageFile], folder: Path, state: State, runtime: Callable[..., Staged]
) -> float:
    """The largest relative difference of any tensor of any stage, each given what the stage before it gives.

    Args:
        stages: what the files were made of.
        files: the stages in the folder.
        folder: where they are.
        state: before the first stage.
        runtime: what runs the files, in single precision.

    Raises:
        CaptureError: naming the first file that answers otherwise.
    """
    worst = 0.0
    run = runtime(folder, files, files[-1], 1)
    for samples in BATCHES:
        rows = torch.arange(samples) % len(state[0])
        given = tuple(tensor.index_select(0, rows) for tensor in state)
        for stage, file in zip(stages, files, strict=True):
            with torch.no_grad():
                expected = stage(*(tensor.clone() for tensor in given))
            found = run.load(file)([tensor.numpy() for tensor in given])
            difference = max(map(_difference, found, expected))
            if not difference <= TOLERANCE:
                raise CaptureError(
                    f"expected {file.file} to answer as the model does, got a relative difference of {difference:.1g} "
                    f"at batch {samples}; leave this operating point in PyTorch"
                )
            worst, given = max(worst, difference), expected[: len(file.state)]
    return worst


def _difference(found: np.ndarray, expected: torch.Tensor) -> float:
    other = expected.numpy()
    return float(np.abs(found - other).max(initial=0.0) / max(np.abs(other).max(initial=0.0), 1e-12))
