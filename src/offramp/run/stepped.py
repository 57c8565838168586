"""Eager PyTorch, stage by stage: the segments of a captured backbone, its heads and the gate."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from offramp.arrays import Int
from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.heads.earlier import Earlier
from offramp.inputs import Inputs, device_of, leaves, mask_of, on
from offramp.model.multi_exit import MultiExit
from offramp.model.segments import Chain
from offramp.run.calibration import placed
from offramp.run.compact import compacted
from offramp.run.driver import End
from offramp.run.eager import Eager
from offramp.run.executor import Said, Say
from offramp.run.headed import Headed
from offramp.run.stepwise import Stepwise

Tensors = tuple[torch.Tensor, ...]


@dataclass(eq=False)
class UnderWay:
    """A batch between two segments.

    Attributes:
        chain: the segments for inputs of its sizes.
        tensors: the feature, and its side values.
        mask: which tokens are no padding, where that is known.
        earlier: what the exits that were asked said, where later ones hear it; grows when one is asked.
    """

    chain: Chain
    tensors: Tensors
    mask: torch.Tensor | None
    earlier: Earlier = ()

    @property
    def everything(self) -> Tensors:
        """All tensors whose first axis is the batch."""
        mask = () if self.mask is None else (self.mask,)
        return (*self.tensors, *mask, *(said for _, said in self.earlier))

    def holding(self, everything: Tensors) -> "UnderWay":
        """The same with other tensors, in the order of `everything`."""
        tensors, rest = everything[: len(self.tensors)], everything[len(self.tensors) :]
        mask, rest = (None, rest) if self.mask is None else (rest[0], rest[1:])
        earlier = tuple((number, said) for (number, _), said in zip(self.earlier, rest, strict=True))
        return replace(self, tensors=tensors, mask=mask, earlier=earlier)


@dataclass(frozen=True, eq=False)
class Stepped(Headed, Stepwise):
    """Runs segments, and the heads where they are asked; its driver is `Eager`."""

    driver: Eager

    @classmethod
    def of(  # type: ignore[override]
        cls, driver: Eager, multi_exit: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]
    ) -> "Stepped":
        """The executor; its heads in eval mode, where the backbone is."""
        device = device_of(multi_exit.backbone.model)
        multi_exit.heads.eval().to(device)
        return cls(driver, multi_exit, gate, placed(calibrators, device))

    @property
    def stops(self) -> int:
        """How many places with exits there are."""
        return len(self.driver.chains.names)

    drive = Stepwise.drive

    def start(self, inputs: Inputs) -> UnderWay:
        """The inputs, in order and on the model's device.

        Raises:
            DataError: if the model cannot be left at the same points with them.
        """
        found = on(self.driver.chains.arranged(inputs), device_of(self.driver.model))
        chain = self.driver.chains.fit_for(found)
        return UnderWay(chain, leaves(found), mask_of(found))

    def advance(self, place: int, state: UnderWay) -> tuple[UnderWay, Say]:
        """Runs the segment before a stop; heads are run when they are asked."""
        after = self._after(place, state)

        def say(exit_: int) -> Said:
            with torch.no_grad():
                feature = after.chain.feature(place, after.tensors)
                logits, after.earlier = self.logits(exit_, feature, after.mask, after.earlier)
                return self.said(logits, exit_)

        return after, say

    def end(self, state: UnderWay) -> Said:
        """Runs the last segment."""
        after = self._after(self.stops, state)
        with torch.no_grad():
            said = self.answer(End(after.tensors[0], dict(zip(after.chain.full, after.tensors[1:], strict=True))))
        full = {name: values.copy() for name, values in said.full.items()}
        return Said(said.logits.copy(), said.score, full)  # the last segment may only look at what it is given

    def take(self, state: UnderWay, rows: Int[np.ndarray, " staying"], place: int | None = None) -> UnderWay:
        """These rows of a batch under way."""
        staying = torch.from_numpy(rows).to(state.tensors[0].device)
        if place is None:
            return state.holding(tuple(tensor.index_select(0, staying) for tensor in state.everything))
        return state.holding(compacted(state.everything, staying, self.driver.buffers, place))

    def kind(self, state: UnderWay) -> Hashable:
        """The segments, and shapes without batch axis."""
        return (id(state.chain), *(tensor.shape[1:] for tensor in state.everything))

    def join(self, states: Sequence[UnderWay]) -> UnderWay:
        """Several as one."""
        return states[0].holding(tuple(map(torch.cat, zip(*(state.everything for state in states), strict=True))))

    def _after(self, place: int, state: UnderWay) -> UnderWay:
        with torch.no_grad():
            return replace(state, tensors=state.chain.segment(place, state.tensors))
