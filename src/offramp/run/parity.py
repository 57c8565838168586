"""Whether exported stages answer as the stages they were made of."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from offramp.errors import CaptureError
from offramp.model.quantiser import rounds
from offramp.run.pieces import Arrays
from offramp.run.routing import StageFile
from offramp.run.stage import Stage, State
from offramp.run.staged import Staged

TOLERANCE = 1e-3
"""Largest difference, relative to the largest value, at which an exported stage counts as the same."""

ROUNDED = 0.2
"""Largest root mean square of the difference, relative to that of the values, where a stage rounds inside: of a number
between two integers one kernel takes the one and another the other, and from there on the values are a step apart."""

BATCHES = (2, 1, 3)
"""Batch sizes at which it is looked at."""

MANY = 64
"""Samples of a batch that is no small one: faults of integer kernels have been seen at such sizes only."""


def check(
    stages: Sequence[Stage],
    files: Sequence[StageFile],
    folder: Path,
    state: State,
    runtime: Callable[..., Staged],
    parts: int = 1,
) -> float:
    """The largest relative difference of any tensor of any stage, each given what the model has there.

    Args:
        stages: what the files were made of.
        files: the stages in the folder.
        folder: where they are.
        state: before the first stage.
        runtime: what runs the files, in single precision.
        parts: of an output, the first of which may have a scale of its own; see `tasks.task.Means`.

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
            measure, most = (_spread, ROUNDED) if rounds(stage.state_dict()) else (_largest, TOLERANCE)
            plain = [tensor.numpy() for tensor in expected]
            pairs = (_apart(each, len(file.state), parts) for each in (found, plain))
            difference = max(measure(one, other) for one, other in zip(*pairs, strict=True))
            if not difference <= most:
                raise CaptureError(
                    f"expected {file.file} to answer as the model does, got a relative difference of {difference:.1g} "
                    f"at batch {samples}; leave this operating point in PyTorch"
                )
            worst, given = max(worst, difference), expected[: len(file.state)]
    return worst


def check_chain(
    stages: Sequence[Stage],
    files: Sequence[StageFile],
    state: State,
    runtime: Staged,
    most: float = ROUNDED,
    parts: int = 1,
) -> float:
    """The largest relative difference of what any exit says, each stage given what the runtime had in the one before.

    Args:
        stages: what the files were made of.
        files: the stages.
        state: before the first stage; its rows are repeated until there are `MANY`.
        runtime: runs the files.
        most: the largest root mean square of the difference, relative to that of the values.
        parts: of an output, the first of which may have a scale of its own; see `tasks.task.Means`.

    Raises:
        CaptureError: naming the first file that answers otherwise.
    """
    worst, rows = 0.0, torch.arange(MANY) % len(state[0])
    given = tuple(tensor.index_select(0, rows) for tensor in state)
    arrays: Arrays = [tensor.numpy() for tensor in given]
    for stage, file in zip(stages, files, strict=True):
        with torch.no_grad():
            expected = stage(*(tensor.clone() for tensor in given))
        found, carried = runtime.load(file)(arrays), len(file.state)
        plain = [tensor.numpy() for tensor in expected[carried:]]
        said = zip(_apart(found[carried:], 0, parts), _apart(plain, 0, parts), strict=True)
        difference = max(_spread(one, other) for one, other in said)
        if not difference <= most:
            raise CaptureError(f"{file.file} differs from the model by {difference:.1g} of what it says")
        worst, given, arrays = max(worst, difference), expected[:carried], found[:carried]
    return worst


def _apart(arrays: Arrays, carried: int, parts: int) -> Arrays:
    """The arrays of a stage, and of each output behind the `carried` state its first part by itself, which the rest
    may dwarf.
    """
    outputs = arrays[carried::2] if parts > 1 else []
    return [*arrays, *(output[:, : output.shape[1] // parts] for output in outputs)]


def _largest(found: np.ndarray, expected: np.ndarray) -> float:
    found, expected = _numbers(found), _numbers(expected)
    return float(np.abs(found - expected).max(initial=0.0) / max(np.abs(expected).max(initial=0.0), 1e-12))


def _spread(found: np.ndarray, expected: np.ndarray) -> float:
    found, expected = _numbers(found), _numbers(expected)
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-12))


def _numbers(values: np.ndarray) -> np.ndarray:
    """Truth values, such as the masks of texts, as numbers, since NumPy does not subtract them."""
    return values.astype(np.float32) if values.dtype == bool else values
