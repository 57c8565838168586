"""Driving a backbone that is cut into segments."""

from collections.abc import Callable

from offramp.model.leaving import Stop
from offramp.model.segments import Chain, State
from offramp.run.buffers import Buffers
from offramp.run.compact import compacted
from offramp.run.driver import End


def through(
    chain: Chain, state: State, stop: Stop, buffers: Buffers, segment: Callable[[int, State], State] | None = None
) -> End | None:
    """What the backbone says of those who are left at its end, with a stop after each segment but the last.

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
    logits, *full = segment(count - 1, state)
    return End(logits, dict(zip(chain.full, full, strict=True)))
