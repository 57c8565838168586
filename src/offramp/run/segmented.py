"""Driving a backbone that is cut into segments."""

from collections.abc import Callable

import torch

from offramp.model.leaving import Stop
from offramp.model.segments import Chain, State
from offramp.run.buffers import Buffers
from offramp.run.compact import compacted


def through(
    chain: Chain, state: State, stop: Stop, buffers: Buffers, segment: Callable[[int, State], State] | None = None
) -> torch.Tensor | None:
    """The logits of those who are left after all segments, with a stop after each but the last; see `Executor`.

    Args:
        chain: the segments.
        state: before the first one.
        stop: says which rows stay.
        buffers: memory for what is left of a batch.
        segment: runs a segment, given its number and the state before it; default as the chain does.
    """
    segment, count = segment or chain.segment, len(chain.segments)
    for index in range(count - 1):
        state = segment(index, state)
        staying = stop(index, chain.feature(index, state))
        if staying is None:
            continue
        if len(staying) == 0:
            return None
        state = compacted(state, staying, buffers, index)
    return segment(count - 1, state)[0]
