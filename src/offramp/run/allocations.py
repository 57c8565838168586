"""How much memory is allocated for tensors on the way through a model, whether or not it is freed soon."""

from collections.abc import Callable, Iterable
from typing import Any

from torch.profiler import ProfilerActivity, profile

MEMORY_EVENT = "[memory]"
"""How the profiler calls an allocation (positive bytes) or a release (negative bytes)."""


def allocated(run: Callable[[Any], Any], batches: Iterable[Any]) -> int:
    """Bytes that torch allocates while `run` takes the batches, one after the other.

    It is the live tensor memory allocation of SelfXit (section 4): the sum over all allocation events of the torch
    profiler. Memory that is released and allocated again counts again. What is made before, such as the batch itself
    and the weights, does not count; nor does what is not allocated by torch, such as NumPy's arrays and the scratch
    memory of libraries.

    Args:
        run: what is measured; run it once before, where its first call does more than the later ones.
        batches: each given to `run`.
    """
    total = 0
    for batch in batches:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            run(batch)
        assert found.profiler is not None
        assert found.profiler.kineto_results is not None
        events = found.profiler.kineto_results.events()
        total += sum(max(event.nbytes(), 0) for event in events if event.name() == MEMORY_EVENT)
    return total
