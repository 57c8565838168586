"""Driving a backbone that is cut into segments."""

from collections.abc import Callable

import torch

from offramp.model.leaving import Stop
from offramp.model.segments import State
from offramp.run.buffers import Buffers
from offramp.run.compact import compacted


def through(
    segment: Callable[[int, State], State], count: int, state: State, stop: Stop, buffers: Buffers
) -> torch.Tensor | None:
    """The logits of those who are left after `count` segments, with a stop after each but the last; see `Executor`.

    Args:
        segment: the state after a segment, given its number and the state before it.
        count: how many segments there are.
        state: before the first one.
        stop: says which rows stay.
        buffers: memory for what is left of a batch.
    """
    for index in range(count - 1):
        state = segment(index, state)
        staying = stop(index, state[0])
        if staying is None:
            continue
        if len(staying) == 0:
            return None
        state = compacted(state, staying, buffers, index)
    return segment(count - 1, state)[0]
