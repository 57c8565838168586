"""Each sample answered as soon as it is resolved: over a WebSocket, or as server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from offramp.serve import describe, texts
from offramp.serve.aside import aside
from offramp.serve.asking import asked_of, wish_of
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Asked
from offramp.serve.errors import BadRequestError, BusyError, RefusedError, TooLargeError
from offramp.serve.guards import FAILED, said
from offramp.serve.hosting import Host
from offramp.serve.limits import Limits
from offramp.serve.protocol import MOST_ID, MOST_JSON, InferReply, InferRequest
from offramp.serve.room import Load, Room, Waiters
from offramp.serve.sample import Answer
from offramp.serve.waiting import Each

LOG = logging.getLogger("offramp.serve")

PREFIX = 4
"""Bytes before a binary message that say how many of the following ones are JSON, little-endian."""

MOST_UNREAD = 256
"""Messages that may wait for a client to read them, and requests of one client under way; then it is not read."""


def reply_of(deployment: Deployment, asked: InferRequest, under_way: Asked, number: int, answer: Answer) -> InferReply:
    """The reply to one sample of a request: a batch of one, with the sample's number among its parameters."""
    told = {
        "item": number,
        "final": answer.final,
        "forced": answer.forced,
        "operating_point": under_way.active.name,
        "generation": under_way.active.generation,
        **texts.told_of_one(asked, number),
    }
    outputs = describe.outputs_of([answer], deployment, asked.outputs)
    return InferReply(deployment.name, under_way.active.version, outputs, asked.id, told)


def error_of(error: RefusedError, identity: str | None, item: int | None = None) -> str:
    """What is sent where something went wrong with a request, or with one of its samples, as JSON."""
    told: dict[str, Any] = {"error": said(error), "status": error.status}
    if identity is not None:
        told["id"] = identity
    if item is not None:
        told["parameters"] = {"item": item, "final": True}
    if isinstance(error, BusyError):
        told["retry_after"] = error.retry_after
    return json.dumps(told)


class Conversation:
    """A WebSocket on which requests come and answers go, each as soon as it is there, in any order.

    A client that sends more than the queue takes, or reads less than it is told, is slowed down: its socket is not read
    while what it has under way fills its room or its next request waits for the queue.
    """

    def __init__(self, socket: WebSocket, host: Host, waiters: Waiters, limits: Limits) -> None:
        self._socket, self._host, self._waiters, self._limits = socket, host, waiters, limits
        self._deployment = host.endpoint.deployment
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue(MOST_UNREAD)
        half = max(1, host.endpoint.engine.batching.max_queue // 2)  # of the queue, so that there is room for others
        self._room = Room(Load(MOST_UNREAD, half, limits.max_body))
        self._asked: set[Asked] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = self._hearing = False

    @property
    def idle(self) -> bool:
        """Whether all that was asked is answered and sent."""
        return not self._asked and self._outbox.empty() and not self._sending and not self._hearing

    async def run(self) -> None:
        """Until the client leaves or reads nothing any more; what it has not heard then is cancelled."""
        await self._socket.accept()
        both = {asyncio.create_task(self._listen()), asyncio.create_task(self._send())}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for asked in self._asked:
                asked.cancel()
            tasks = [*both, *self._tasks]
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for error in ends:
                if isinstance(error, Exception) and not isinstance(error, WebSocketDisconnect | OSError):
                    LOG.error("a conversation was given up", exc_info=error)

    async def _listen(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            self._hearing = True
            await self._hear(message)
            self._hearing = False

    async def _hear(self, message: Mapping[str, Any]) -> None:
        """Takes a request, or says what is wrong with it."""
        body, length = b"", None
        try:
            body, length = self._split(message)
            asked = await aside(len(body), asked_of, body, length, self._deployment)
            asked = await texts.tokenised(asked, self._host.endpoint)
            load = Load(1, asked.samples, len(body))
            await self._room.take(load)
            try:
                await self._ask(asked, load)
            except BaseException:
                self._room.give(load)
                raise
        except RefusedError as error:
            await self._outbox.put(error_of(error, await aside(len(body), _identity, body, length)))
        except Exception:
            LOG.exception("a message could not be taken")
            await self._outbox.put(error_of(RefusedError(FAILED), await aside(len(body), _identity, body, length)))

    async def _ask(self, asked: InferRequest, load: Load) -> None:
        """Puts a request into the queue, once there is room; its answers come by themselves."""
        waiting = Each(asked.samples)
        under_way = await self._waiters.ask(asked, wish_of(asked.parameters), waiting.heard, load.size)
        self._asked.add(under_way)
        task = asyncio.create_task(self._answer(asked, under_way, waiting, load))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _split(self, message: Mapping[str, Any]) -> tuple[bytes, int | None]:
        text, raw = message.get("text"), message.get("bytes")
        body: bytes = (raw or b"") if text is None else text.encode("utf-8", "replace")
        if len(body) > self._limits.max_body + PREFIX:
            raise TooLargeError(f"expected a message of at most {self._limits.max_body} bytes, got {len(body)}")
        if text is not None:
            return body, None
        if len(body) < PREFIX:
            raise BadRequestError(f"expected a binary message to begin with {PREFIX} bytes, the length of its JSON")
        return body[PREFIX:], int.from_bytes(body[:PREFIX], "little")

    async def _answer(self, asked: InferRequest, under_way: Asked, waiting: Each, load: Load) -> None:
        try:
            async for number, answer in waiting:
                if isinstance(answer, RefusedError):
                    await self._outbox.put(error_of(answer, asked.id, number))
                    continue
                encoded, length = reply_of(self._deployment, asked, under_way, number, answer).encoded(asked)
                text = encoded.decode() if length is None else length.to_bytes(PREFIX, "little") + encoded
                await self._outbox.put(text)
        except Exception:
            LOG.exception("an answer could not be written")
            under_way.cancel()
            await self._outbox.put(error_of(RefusedError(FAILED), asked.id))
        finally:
            self._asked.discard(under_way)
            self._room.give(load)

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            self._sending = True
            async with asyncio.timeout(self._limits.patience):
                if isinstance(message, str):
                    await self._socket.send_text(message)
                else:
                    await self._socket.send_bytes(message)
            self._sending = False
            await asyncio.sleep(0)  # between two of many messages others have their turn, and one hears who left


class Events(StreamingResponse):
    """Server-sent events: one reply each, as JSON; what nobody waits for any more is cancelled."""

    def __init__(self, deployment: Deployment, asked: InferRequest, under_way: Asked, waiting: Each) -> None:
        super().__init__(_events(deployment, asked, under_way, waiting), media_type="text/event-stream")
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends them."""
        try:
            await super().__call__(scope, receive, send)
        finally:  # also where the client left before the first event
            self._under_way.cancel()


async def _events(deployment: Deployment, asked: InferRequest, under_way: Asked, waiting: Each) -> AsyncIterator[str]:
    outputs = None if asked.outputs is None else dict.fromkeys(asked.outputs, False)
    plain = replace(asked, outputs=outputs, binary=False)
    async for number, answer in waiting:
        if isinstance(answer, RefusedError):
            yield f"event: error\ndata: {error_of(answer, asked.id, number)}\n\n"
        else:
            encoded, _ = reply_of(deployment, plain, under_way, number, answer).encoded(plain)
            yield f"data: {encoded.decode()}\n\n"


def _identity(body: bytes, length: int | None) -> str | None:
    """The id of a request that may be wrong in every other way."""
    text = body if length is None else body[:length]
    if len(text) > MOST_JSON:
        return None
    try:
        found = json.loads(text)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and len(found) <= MOST_ID else None
