"""`torch.compile`: stages in PyTorch, compiled."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import nn

from offramp.arrays import Int
from offramp.calibrate.calibrator import Calibrator
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.inputs import Inputs, batch_size, device_of, leaves
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.reading import LogitsOf
from offramp.run.buffers import Buffers
from offramp.run.captured import placed
from offramp.run.compact import compacted
from offramp.run.executor import Said, Say
from offramp.run.headed import array
from offramp.run.loop import stops_of
from offramp.run.stage import Stage, first_state, stages, uncut_stage
from offramp.run.stepwise import State, Stepwise

RunStage = Callable[..., tuple[torch.Tensor, ...]]


class Compiled:
    """A compiled module: once for a single sample, and once for any number of them.

    The compiler takes a batch of one for a constant; were it the one to which it then adapts, a stage would be compiled
    once more in the midst of a batch, when a single sample is left. Nothing but the batch is of any size: pooling to a
    grid, for one, cannot be compiled for maps of any.
    """

    def __init__(self, module: nn.Module) -> None:
        self._run = torch.compile(module, dynamic=False)

    def __call__(self, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the module gives.

        Raises:
            InputError: if it cannot be compiled here.
        """
        single = len(state[0]) == 1
        try:
            found: tuple[torch.Tensor, ...] = self._run(*(state if single else map(_of_any_size, state)))
        except Exception as error:
            if type(error).__name__ in ("InvalidCxxCompiler", "InductorError", "BackendCompilerFailed"):
                reason = next(iter(str(error).strip().splitlines()), "no reason given")
                raise InputError(
                    f"cannot compile a stage: {reason}; install a C++ compiler (g++), or use another back end"
                ) from error
            raise
        return found


def _of_any_size(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor, told to the compiler as one of any batch size; an alias, so that the user's bears no mark."""
    alias = tensor.detach()
    torch._dynamo.maybe_mark_dynamic(alias, 0)
    return alias


@dataclass(frozen=True, eq=False)
class TorchCompiled(Stepwise):
    """Runs compiled stages, for inputs of the sizes with which the model was captured.

    A stage is compiled when it first runs, which takes seconds to minutes and needs a C++ compiler.

    Attributes:
        multi_exit: the backbone and its heads.
        logits_of: picks the logits out of the backbone's output.
        gate: without a memory.
        calibrators: one per exit but the last.
        enabled: the exits at which it stops.
        ready: makes of a stage what is run.
        buffers: memory for what is left of a batch.
    """

    multi_exit: MultiExit
    logits_of: LogitsOf
    gate: Gate
    calibrators: tuple[Calibrator, ...]
    enabled: tuple[bool, ...]
    ready: Callable[[nn.Module], RunStage] = Compiled
    buffers: Buffers = field(default_factory=Buffers)

    def __post_init__(self) -> None:
        self.multi_exit.heads.eval().to(device_of(self.multi_exit.backbone.model))

    @property
    def stops(self) -> int:
        """How many places with exits there are."""
        return len(self._exits)

    @cached_property
    def _exits(self) -> Sequence[Sequence[int]]:
        return stops_of(self.enabled, self.multi_exit.point_of)

    @cached_property
    def _made(self) -> list[Stage]:
        return stages(self.multi_exit, self.logits_of, self.gate, self.calibrators, self.enabled)

    @cached_property
    def _stages(self) -> list[RunStage]:
        return [self.ready(stage) for stage in self._made]

    @cached_property
    def _uncut(self) -> RunStage:
        return self.ready(uncut_stage(self.multi_exit, self.logits_of, self.gate))

    def samples(self, inputs: Inputs) -> int:
        """The size of a batch."""
        return batch_size(inputs)

    def start(self, inputs: Inputs) -> State:
        """The inputs, in order and on the model's device.

        Raises:
            DataError: if they are not like those that the model was captured with.
        """
        return first_state(placed(inputs, self.multi_exit.backbone), self._made[0].masked)

    def advance(self, place: int, state: State) -> tuple[State, Say]:
        """Runs the stage before a stop."""
        found = self._run(self._stages[place], state)
        exits = self._exits[place]
        carried = len(found) - 2 * len(exits)

        def say(exit_: int) -> Said:
            index = carried + 2 * exits.index(exit_)
            return Said(array(found[index]), array(found[index + 1]))

        return found[:carried], say

    def end(self, state: State) -> Said:
        """Runs the last stage."""
        return self._answer(self._run(self._stages[-1], state))

    def whole(self, inputs: Inputs) -> Said:
        """The user's model itself."""
        state = leaves(placed(inputs, self.multi_exit.backbone))
        return self._answer(self._run(self._uncut, state))

    def _answer(self, found: tuple[torch.Tensor, ...]) -> Said:
        logits, score, *full = map(array, found)
        return Said(logits, score, dict(zip(self.multi_exit.backbone.full_names, full, strict=True)))

    def take(self, state: State, rows: Int[np.ndarray, " staying"], place: int | None = None) -> State:
        """These rows of a state."""
        staying = torch.from_numpy(rows).to(state[0].device)
        if place is None:
            return tuple(tensor.index_select(0, staying) for tensor in state)
        return compacted(tuple(state), staying, self.buffers, place)

    def kind(self, state: State) -> Hashable:
        """Shapes without batch axis."""
        return tuple(tensor.shape[1:] for tensor in state)

    def join(self, states: Sequence[State]) -> State:
        """Several states as one."""
        return tuple(torch.cat(tensors) for tensors in zip(*states, strict=True))

    def _run(self, stage: RunStage, state: State) -> tuple[torch.Tensor, ...]:
        with torch.no_grad(), frozen(self.multi_exit.backbone.model):
            return stage(*state)
