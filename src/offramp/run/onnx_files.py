"""Stages as ONNX files, one each."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.inputs import Inputs
from offramp.model.modes import frozen
from offramp.run.onnx_layout import finish
from offramp.run.routing import STATE, StageFile
from offramp.run.stage import Stage, State, first_names, first_state

Shapes = tuple[dict[int, Any], ...]
"""For each tensor its open axes."""

LEAST = 2
"""Length of the shortest sequences that a stage is exported for."""

LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")
"""They tell about their own internals."""


def export(
    stages: Sequence[Stage],
    exits: Sequence[Sequence[int]],
    model: nn.Module,
    example: Inputs,
    folder: Path,
    name: str,
) -> tuple[StageFile, ...]:
    """Writes `NAME-0.onnx`, `NAME-1.onnx`, … to `folder`.

    Args:
        stages: as `stages.stage.stages` makes them.
        exits: the exits of each stage; of the last, the number of the backbone's own.
        model: the backbone, which stays in eval mode meanwhile.
        example: two samples.
        folder: where the files go.
        name: how the files begin.

    Raises:
        CaptureError: if the exporter cannot take a stage, with its reason.
    """
    found: list[StageFile] = []
    masked = stages[0].masked
    state, names = first_state(example, masked), first_names(example, masked)
    sequences = all(tensor.ndim == 2 and not tensor.is_floating_point() for tensor in state)
    shorter = tuple(tensor[:, :-1] for tensor in state) if sequences and state[0].shape[1] > LEAST else None
    open_ = any(tensor.ndim in (2, 3) for tensor in state)
    with frozen(model), torch.no_grad():
        for index, (stage, here) in enumerate(zip(stages, exits, strict=True)):
            after = stage(*(tensor.clone() for tensor in state))
            carried = len(after) - 2 * len(here) - len(stage.full)
            onward = tuple(f"{STATE}{index + 1}_{position}" for position in range(carried))
            logits, score = (tuple(f"{kind}_{exit_}" for exit_ in here) for kind in ("logits", "score"))
            one = StageFile(f"{name}-{index}.onnx", names, onward, tuple(here), logits, score, stage.full)
            _write(stage, state, one, folder / one.file, shorter, open_)
            finish(folder / one.file, one)
            found.append(one)
            shorter = None if shorter is None else _after(stage, shorter, carried)
            state, names = after[:carried], onward
    return tuple(found)


def _after(stage: Stage, state: State, carried: int) -> State | None:
    """The state behind a stage; None where it cannot run at this length."""
    try:
        after: State = stage(*(tensor.clone() for tensor in state))
    except Exception:  # whatever the model raises at a length for which its graph does not hold
        return None
    return after[:carried]


def _write(stage: Stage, state: State, one: StageFile, path: Path, shorter: State | None, open_: bool) -> None:
    """One file.

    Of sequences all axes that are others in a `shorter` state are open, together, as both of an attention mask are;
    where a stage does not allow that, second axes are, each where it can be. Where the model takes pictures alone only
    the batch is open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ways = [] if shorter is None else [_lengths(state, shorter)]
    for shapes in (*ways, _seconds(state, open_)):
        try:
            with _quiet():
                return _exported(stage, state, one, path, shapes)
        except Exception as error:  # whatever the exporter raises
            failed = error
    reason = next(iter(str(failed).strip().splitlines()), "no reason given")
    raise CaptureError(f"cannot export {path.name}: {type(failed).__name__}: {reason}") from failed


def _lengths(state: State, shorter: State) -> Shapes:
    batch, open_ = _batch(), torch.export.Dim("length", min=LEAST, max=65535)
    return tuple(
        {0: batch} | {axis: open_ for axis in range(1, one.ndim) if one.shape[axis] != other.shape[axis]}
        for one, other in zip(state, shorter, strict=True)
    )


def _seconds(state: State, open_: bool) -> Shapes:
    batch, auto = _batch(), torch.export.Dim.AUTO
    return tuple({0: batch} | ({1: auto} if open_ and tensor.ndim in (2, 3) else {}) for tensor in state)


def _batch() -> Any:
    return torch.export.Dim("batch", min=2, max=65535)


def _exported(stage: Stage, state: State, one: StageFile, path: Path, shapes: Shapes) -> None:
    from offramp.run import integers  # not above: it needs packages that only exporting does

    program = torch.onnx.export(
        stage,
        state,
        dynamo=True,
        input_names=list(one.inputs),
        output_names=one.outputs,
        dynamic_shapes=(shapes,),
        custom_translation_table=integers.TRANSLATIONS,
    )
    assert program is not None
    integers.settle(program.model)
    program.save(str(path), external_data=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
