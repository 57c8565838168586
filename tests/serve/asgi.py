"""The server's application called directly, without sockets: what a server process does, ten times as fast."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from offramp.serve.app import application
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint
from offramp.serve.hosting import Version
from offramp.serve.limits import Limits
from offramp.serve.monitor import Audits
from offramp.serve.watch import Watch
from tests.serve.world import deployment

INFER = "/v2/models/toy/infer"
SOCKET = "/v2/models/toy/ws"


class Hosted:
    """An application with its endpoint."""

    def __init__(self, made: Deployment | None = None, limits: Limits | None = None, **wishes: Any) -> None:
        made = made or deployment()
        watch = Watch(made, Audits(), lambda _: None)
        self.endpoint = Endpoint(made, watch, **wishes)
        self.app, self.idle = application(Version(self.endpoint, watch), limits)

    async def finished(self) -> None:
        """Until all that was accepted is answered."""
        async with asyncio.timeout(20):
            while not self.idle():
                await asyncio.sleep(0.001)

    def close(self) -> None:
        assert self.endpoint.engine.close(20.0)

    async def ask(
        self,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        how: str = "POST",
        gone: asyncio.Event | None = None,
        /,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the reply to a request, whose body may come in parts; `gone`: hangs up."""
        parts = [body] if isinstance(body, bytes) else list(body)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if parts:
                return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope("http", path, how, headers), receive, send)
        start = sent[0]
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], told, b"".join(one.get("body", b"") for one in sent[1:])

    async def serve(self, channel: "Channel", **headers: str) -> None:
        """A WebSocket as the server has it, until it ends."""
        await self.app(scope("websocket", SOCKET, "", headers), channel.to_server.get, channel.from_server.put)

    @asynccontextmanager
    async def socket(self, **headers: str) -> AsyncIterator["Channel"]:
        """A WebSocket on which both sides may say something at any time."""
        channel = Channel()
        task = asyncio.create_task(self.serve(channel, **headers))
        assert (await channel.from_server.get())["type"] == "websocket.accept"
        try:
            yield channel
        finally:
            channel.leave()
            while not task.done():  # what is left unread must not hold it
                while not channel.from_server.empty():
                    channel.from_server.get_nowait()
                await asyncio.sleep(0)
            await task


class Unread(asyncio.Queue[Any]):
    """What the server said and nobody read; where the client left, it hears that when it says more."""

    left = False

    async def put(self, item: Any) -> None:
        if self.left:
            raise OSError("nobody is there")
        await super().put(item)


class Channel:
    """The client's side of a WebSocket; at most `unread` messages of the server are on their way."""

    def __init__(self, unread: int = 8) -> None:
        self.to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_server: Unread = Unread(unread)
        self.to_server.put_nowait({"type": "websocket.connect"})

    def say(self, message: str | bytes) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        self.to_server.put_nowait({"type": "websocket.receive", key: message})

    def leave(self) -> None:
        """What was not read yet is lost, as on a socket that breaks."""
        while not self.to_server.empty():
            self.to_server.get_nowait()
        self.from_server.left = True
        self.to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def hear(self) -> Any:
        """The next message: JSON, or the JSON before raw tensors."""
        message = await asyncio.wait_for(self.from_server.get(), 20)
        assert message["type"] == "websocket.send", message
        if (raw := message.get("bytes")) is not None:
            return json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])
        return json.loads(message["text"])


def scope(kind: str, path: str, how: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": how,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "state": {},
    }
