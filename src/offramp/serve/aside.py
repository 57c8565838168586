"""Work on big requests in a thread, so that the loop goes on with the small ones."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 64 * 1024
"""Bytes of a request that are worked on at once: less than what a thread costs."""

THREADS = 2
"""Threads of a server for that: each keeps the most memory that it ever took, and the interpreter has turns for one."""


async def aside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work brings, done in a thread where it is about many bytes.

    A thread helps as far as the work lets go of the interpreter: NumPy does, the standard library's JSON does not,
    which is why there is a limit on JSON (`protocol.MOST_JSON`).
    """
    if size <= SMALL:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
