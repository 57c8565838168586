"""Memory that is used again."""

import threading

import numpy as np

from offramp.run.buffers import Buffers


def test_the_same_name_has_the_same_memory_and_grows() -> None:
    buffers = Buffers()
    first = buffers.array("a", (4, 3), np.float32)
    smaller = buffers.array("a", (2, 5), np.float32)
    assert np.shares_memory(first, smaller)
    larger = buffers.array("a", (40, 3), np.float32)
    assert larger.shape == (40, 3)
    assert not np.shares_memory(first, larger)
    assert np.shares_memory(larger, buffers.array("a", (1, 2), np.float32))


def test_other_names_types_and_threads_have_their_own() -> None:
    buffers = Buffers()
    mine = buffers.array("a", (4,), np.float32)
    found = [buffers.array("b", (4,), np.float32), buffers.array("a", (4,), np.int32)]
    thread = threading.Thread(target=lambda: found.append(buffers.array("a", (4,), np.float32)))
    thread.start()
    thread.join()
    assert len(found) == 3
    assert not any(np.shares_memory(mine, other) for other in found)
