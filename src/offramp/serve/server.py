"""The process: uvicorn, and how it goes down without losing what it took."""

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import uvicorn

from offramp.serve.app import application
from offramp.serve.aside import THREADS
from offramp.serve.batcher import Batching
from offramp.serve.controller import Controller
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint
from offramp.serve.holding import Holding
from offramp.serve.limits import Limits
from offramp.serve.monitor import Audits
from offramp.serve.streams import PREFIX
from offramp.serve.watch import Watch

LOG = logging.getLogger("offramp.serve")

GRACE = 30.0
"""Seconds in which what was accepted must be answered."""

TICK = 0.02
"""Seconds between two looks at whether everything is answered."""


class Server(uvicorn.Server):
    """Uvicorn that drains: after the first signal nothing new is taken, and it stops when everything is answered.

    Attributes:
        grace: seconds that this may take; a second signal cuts it short.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[], None],
        refuse: Callable[[], None],
        idle: Callable[[], bool],
        grace: float = GRACE,
    ) -> None:
        """The server, not yet running.

        Args:
            config: uvicorn's.
            started: called once it listens.
            refuse: called once when it goes down, and returns at once; from then on nothing new must be taken.
            idle: whether everything is answered.
            grace: seconds.
        """
        super().__init__(config)
        self.grace = grace
        self._started, self._refuse, self._idle = started, refuse, idle
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Until a signal, and then until everything is answered."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(THREADS, "offramp-aside"))
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and says so."""
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to drain; the second signal stops at once."""
        if self._draining is not None or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._draining = self._loop.create_task(self._drain())
        self._loop.call_soon_threadsafe(lambda: None)  # wakes the loop, which may be waiting for a socket

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.grace
        try:
            self._refuse()
            while not self._idle() and loop.time() < until:
                await asyncio.sleep(TICK)
        finally:
            self.should_exit = True


def run(
    deployment: Deployment,
    batching: Batching,
    limits: Limits,
    audits: Audits,
    *,
    fallback: bool = False,
    controller: Controller | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    started: Callable[[str], None] = lambda _: None,
) -> None:
    """Serves until a signal comes.

    Args:
        deployment: the model.
        batching: how samples come together.
        limits: of requests, and tokens.
        audits: how many early answers are compared with the backbone's.
        fallback: whether the most accurate point is made the active one when a promise is found broken.
        controller: holds a target by switching; None: nobody switches but whoever is asked to.
        host: address to listen on.
        port: to listen on; 0 for a free one.
        started: called with its URL once it listens.
    """
    safest = next(iter(deployment.points))

    def alarmed(point: str) -> None:
        LOG.warning("more disagreement at %s than was certified%s", point, f"; now at {safest}" if fallback else "")
        if fallback and holding is not None:
            holding.without(point)
        if fallback and endpoint.active.name == point:
            endpoint.switch(safest)

    watch = Watch(deployment, audits, alarmed)
    endpoint = Endpoint(deployment, watch, batching, audits.share)
    holding = None if controller is None else Holding(endpoint, watch, controller)
    app, idle = application(endpoint, watch, limits)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=limits.max_body + PREFIX,
        ws_ping_timeout=None,  # the answer to a ping waits, too, while a client is slowed down
        timeout_graceful_shutdown=5,
    )
    listening = config.bind_socket()
    url = f"http://{host}:{listening.getsockname()[1]}"
    if holding is not None:
        holding.start()
    Server(config, lambda: started(url), endpoint.engine.refuse, idle).run([listening])
    if holding is not None:
        holding.end()
    endpoint.engine.close(GRACE)
