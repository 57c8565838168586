"""CUDA graphs: a stage is launched as a whole, so that small batches do not wait for the processor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.inputs import Inputs, batch_size, device_of, leaves
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.reading import LogitsOf
from offramp.run.captured import placed
from offramp.run.executor import Said, Say, Stop
from offramp.run.headed import array
from offramp.run.loop import stops_of
from offramp.run.stage import Stage, first_state, stages, uncut_stage

State = tuple[torch.Tensor, ...]
WARM_UP = 3
"""Runs before a graph is recorded, in which libraries choose their kernels."""


def bucket(samples: int) -> int:
    """The batch size that a batch is filled up to: four sizes to each doubling, so that little is computed in vain.

    >>> [bucket(samples) for samples in (1, 3, 8, 9, 100, 129, 256)]
    [1, 3, 8, 10, 112, 160, 256]
    """
    step = 1 << max((samples - 1).bit_length() - 3, 0)
    return -(-samples // step) * step


class Recorded:
    """A module recorded at one batch size, with memory of its own for what goes in and comes out."""

    def __init__(self, module: nn.Module, state: State, samples: int, pool: Any) -> None:
        self.inputs = tuple(tensor.new_zeros((samples, *tensor.shape[1:])) for tensor in state)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        # the sizes are fixed here, so it is worth to look for the fastest convolutions
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=torch.backends.cudnn.allow_tf32),
        ):
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    module(*self.inputs)
            torch.cuda.current_stream().wait_stream(stream)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, pool=pool):
                self.outputs: State = module(*self.inputs)

    def __call__(self, state: State, rows: torch.Tensor | None = None) -> State:
        """What comes out for these rows of a state (None: all); valid until the next call."""
        samples = len(state[0]) if rows is None else len(rows)
        for tensor, place in zip(state, self.inputs, strict=True):
            if rows is None:
                place[:samples].copy_(tensor)
            else:
                torch.index_select(tensor, 0, rows, out=place[:samples])
        self.graph.replay()
        return tuple(tensor[:samples] for tensor in self.outputs)


class _Packed(nn.Module):
    """A stage whose answers are one tensor, so that they reach the host in one copy; what else it returns follows."""

    def __init__(self, stage: Stage, carried: int, full: int = 0) -> None:
        super().__init__()
        self.stage, self.carried, self.full = stage, carried, full

    def forward(self, *state: torch.Tensor) -> State:
        found = self.stage(*state)
        end = len(found) - self.full
        answers = [tensor.float().reshape(len(tensor), -1) for tensor in found[self.carried : end]]
        return (*found[: self.carried], torch.cat(answers, dim=1), *found[end:])


def _taken(stage: Stage) -> int:
    """How many tensors a stage takes."""
    assert isinstance(stage.segment, torch.fx.GraphModule)
    return len(stage.segment.graph.find_nodes(op="placeholder")) + stage.masked + len(stage.before)


@dataclass(frozen=True, eq=False)
class CudaGraphs:
    """Runs stages by CUDA graphs, one for each stage and bucket, recorded when first needed.

    The host waits for the device once at each stop, for scores and logits in one copy.

    Attributes:
        multi_exit: the backbone, on a CUDA device, and its heads.
        logits_of: picks the logits out of the backbone's output.
        gate: scores calibrated logits.
        calibrators: one per exit but the last.
        enabled: the exits at which it stops.
    """

    multi_exit: MultiExit
    logits_of: LogitsOf
    gate: Gate
    calibrators: tuple[Calibrator, ...]
    enabled: tuple[bool, ...]

    def __post_init__(self) -> None:
        self.multi_exit.heads.eval().to(device_of(self.multi_exit.backbone.model))

    @cached_property
    def _stages(self) -> list[_Packed]:
        made = stages(self.multi_exit, self.logits_of, self.gate, self.calibrators, self.enabled)
        return [
            *(_Packed(one, _taken(following)) for one, following in pairwise(made)),
            _Packed(made[-1], 0, len(self._full)),
        ]

    @cached_property
    def _uncut(self) -> _Packed:
        return _Packed(uncut_stage(self.multi_exit, self.logits_of, self.gate), 0, len(self._full))

    @property
    def _full(self) -> tuple[str, ...]:
        return self.multi_exit.backbone.full_names

    @cached_property
    def _stops(self) -> Sequence[Sequence[int]]:
        return stops_of(self.enabled, self.multi_exit.point_of)

    @cached_property
    def _pool(self) -> Any:
        """Memory that the graphs share, since what one puts out is copied before the next one runs."""
        return torch.cuda.graph_pool_handle()

    @cached_property
    def _recorded(self) -> dict[Any, Recorded]:
        return {}

    def samples(self, inputs: Inputs) -> int:
        """The size of a batch."""
        return batch_size(inputs)

    def drive(self, inputs: Inputs, stop: Stop) -> Said | None:
        """The backbone's answer to those who are left at the end."""
        inputs = placed(inputs, self.multi_exit.backbone)
        device = leaves(inputs)[0].device
        state, staying = first_state(inputs, self._stages[0].stage.masked), None
        for place, exits in enumerate(self._stops):
            *after, packed = self._run(place, self._stages[place], state, staying)
            rows = stop(place, self._say(array(packed), exits))
            if rows is not None and len(rows) == 0:
                return None
            state = tuple(after)
            staying = None if rows is None else torch.from_numpy(rows).to(device, non_blocking=True)
        return self._answer(self._run(len(self._stops), self._stages[-1], state, staying))

    def whole(self, inputs: Inputs) -> Said:
        """The user's model, recorded as one graph."""
        inputs = placed(inputs, self.multi_exit.backbone)
        with frozen(self.multi_exit.backbone.model):
            return self._answer(self._run("uncut", self._uncut, leaves(inputs), None))

    def _answer(self, found: State) -> Said:
        packed, *full = found
        arrays = (array(tensor).copy() for tensor in full)
        return replace(self._said(array(packed), 0), full=dict(zip(self._full, arrays, strict=True)))

    def _run(self, name: object, module: nn.Module, state: State, rows: torch.Tensor | None) -> State:
        samples = bucket(len(state[0] if rows is None else rows))
        key = (name, samples, tuple(tensor.shape[1:] for tensor in state))
        if key not in self._recorded:
            self._recorded[key] = Recorded(module, state, samples, self._pool)
        return self._recorded[key](state, rows)

    def _say(self, answers: np.ndarray, exits: Sequence[int]) -> Say:
        return lambda exit_: self._said(answers, exits.index(exit_))

    def _said(self, answers: np.ndarray, index: int) -> Said:
        width = self.multi_exit.backbone.classes + 1
        mine = answers[:, index * width : (index + 1) * width]
        return Said(mine[:, :-1], mine[:, -1])
