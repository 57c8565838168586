"""What clients do to a server in the course of a day: ask, in all ways, wrongly too, break off, switch, look."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.soak.wire import HEADER, as_json, as_raw, exchange, head, status

MODEL = "/v2/models/stages"
INFER = f"{MODEL}/infer"
SOCKET = f"{MODEL}/ws"
BIG = 4000


@dataclass
class Clients:
    """Clients of one server.

    Attributes:
        port: where it is.
        inputs: what is asked.
        labels: the whole model's answers to them.
        points: operating points to switch between.
        token: for switching.
        rng: draws.
        seen: how often what was done, and how it ended.
    """

    port: int
    inputs: np.ndarray
    labels: np.ndarray
    points: list[str]
    token: str
    rng: np.random.Generator
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def kinds(self) -> dict[str, Callable[[], Awaitable[str]]]:
        """What they do, by name; each says how it ended, `ok` where as it should."""
        return {
            "json": self.plain,
            "raw": self.raw,
            "big": self.big,
            "events": self.events,
            "socket": self.socket,
            "bad": self.bad,
            "breaking off": self.breaking_off,
            "leaving a socket": self.leaving,
            "deaf": self.deaf,
            "switch": self.switch,
            "look": self.look,
        }

    async def crowd(self, clients: int) -> None:
        """What takes most memory, by all at once: what is kept of that is taken at the beginning, and is no growth."""
        for _ in range(10):
            await asyncio.gather(*(self.big() for _ in range(2 * clients)))

    async def work(self, until: Callable[[], bool], pause: float) -> None:
        """One client after the other, each kind as often as the next."""
        while not until():
            for kind in self.rng.permutation(list(self.kinds)):
                try:
                    ended = await asyncio.wait_for(self.kinds[kind](), 60)
                except Exception as error:
                    ended = type(error).__name__
                self.seen[f"{kind}: {ended}"] += 1
                await asyncio.sleep(pause)

    def _some(self, most: int = 16) -> np.ndarray:
        size = int(self.rng.integers(1, most + 1))
        return self.rng.choice(len(self.inputs), size)

    async def plain(self) -> str:
        """JSON, at the whole model, whose answers are known."""
        rows = self._some()
        sent = as_json(self.inputs[rows], parameters={"operating_point": "full"})
        reply = await exchange(self.port, head(INFER, len(sent)), sent)
        if status(reply) != 200:
            return str(status(reply))
        outputs = json.loads(reply.partition(b"\r\n\r\n")[2])["outputs"]
        found = next(one["data"] for one in outputs if one["name"] == "label")
        return "ok" if found == self.labels[rows].tolist() else "wrong"

    async def raw(self) -> str:
        """Raw numbers."""
        return await self._raw(self._some(), 200)

    async def big(self) -> str:
        """More samples than the queue takes, after all of them have come."""
        return await self._raw(self.rng.choice(len(self.inputs), BIG), 413)

    async def _raw(self, rows: np.ndarray, expected: int) -> str:
        sent, length = as_raw(self.inputs[rows], parameters={"binary_data_output": True})
        found = status(await exchange(self.port, head(INFER, len(sent), headers={HEADER: str(length)}), sent))
        return "ok" if found == expected else str(found)

    async def events(self) -> str:
        """Each sample at once."""
        rows = self._some()
        sent = as_json(self.inputs[rows], parameters={"anytime": True})
        reply = await exchange(self.port, head(f"{MODEL}/infer_stream", len(sent)), sent)
        return "ok" if reply.count(b'"final": true') == len(rows) else str(status(reply))

    async def socket(self) -> str:
        """A conversation of several requests, bad ones among them."""
        async with connect(f"ws://127.0.0.1:{self.port}{SOCKET}") as channel:
            missing = 0
            for number in range(8):
                rows = self._some()
                await channel.send(as_json(self.inputs[rows], id=str(number)).decode())
                await channel.send("{")
                missing += len(rows) + 1
            for _ in range(missing):
                told = json.loads(await channel.recv())
                if told.get("status", 400) != 400:
                    return str(told["status"])
        return "ok"

    async def bad(self) -> str:
        """Requests that are refused."""
        x = self.inputs[self._some()]
        kinds = [
            (head(INFER, 1), b"{"),
            (head(INFER, len(as_json(x[:, 1:]))), as_json(x[:, 1:])),
            (head(INFER, 9, headers={HEADER: "-1"}), b"something"),
            (head(INFER, 100 * 2**20), b"more than is read"),
            (head("/nothing", 0, "GET"), b""),
            (head(f"{MODEL}/active", 2, "PUT"), b"{}"),
        ]
        found = status(await exchange(self.port, *kinds[int(self.rng.integers(len(kinds)))]))
        return "ok" if found in (400, 401, 404, 413) else str(found)

    async def breaking_off(self) -> str:
        """Leaves within its request, behind it, or within the reply."""
        sent = as_json(self.inputs[self._some()])
        path = (INFER, f"{MODEL}/infer_stream")[int(self.rng.integers(2))]
        whole = head(path, len(sent)) + sent
        cut = len(whole) if self.rng.random() < 0.5 else int(self.rng.integers(len(whole)))
        await exchange(self.port, whole[:cut], most=0 if self.rng.random() < 0.5 or cut < len(whole) else 20)
        return "ok"

    async def leaving(self) -> str:
        """Asks on a socket and leaves without a word."""
        async with connect(f"ws://127.0.0.1:{self.port}{SOCKET}", close_timeout=0.1) as channel:
            for _ in range(20):
                await channel.send(as_json(self.inputs[self._some()]).decode())
            channel.transport.abort()
        return "ok"

    async def deaf(self) -> str:
        """Asks on a socket, reads nothing for a while, and leaves."""
        async with connect(f"ws://127.0.0.1:{self.port}{SOCKET}", close_timeout=0.1) as channel:
            channel.transport.pause_reading()
            for _ in range(60):
                await channel.send(as_json(self.inputs[self._some()]).decode())
            await asyncio.sleep(0.3)
            channel.transport.abort()
        return "ok"

    async def switch(self) -> str:
        """Another operating point."""
        sent = json.dumps({"operating_point": str(self.rng.choice(self.points))}).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        found = status(await exchange(self.port, head(f"{MODEL}/active", len(sent), "PUT", headers), sent))
        return "ok" if found == 200 else str(found)

    async def look(self) -> str:
        """What people and Prometheus look at; the page's stream is left after its first event."""
        found: set[Any] = set()
        for path in ("/metrics", f"{MODEL}/stats", "/", "/v2/health/ready"):
            found.add(status(await exchange(self.port, head(path, 0, "GET"))))
        found.add(status(await exchange(self.port, head("/live", 0, "GET"), most=200)))
        return "ok" if found == {200} else str(sorted(found))
