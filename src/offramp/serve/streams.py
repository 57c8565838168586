"""Each sample answered as soon as it is resolved: over a WebSocket, or as server-sent events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from starlette.websockets import WebSocket

from offramp.serve import describe
from offramp.serve.asking import asked_of, wish_of
from offramp.serve.endpoint import Asked, Endpoint
from offramp.serve.errors import BadRequestError, BusyError, RefusedError, TooLargeError
from offramp.serve.guards import FAILED, said
from offramp.serve.protocol import MOST_ID, InferReply, InferRequest
from offramp.serve.sample import Answer
from offramp.serve.waiting import Each

LOG = logging.getLogger("offramp.serve")

PREFIX = 4
"""Bytes before a binary message that say how many of the following ones are JSON, little-endian."""

MOST_UNREAD = 256
"""Messages that may wait for a client to read them, and requests of one client under way; then no more are taken."""


def reply_of(endpoint: Endpoint, asked: InferRequest, under_way: Asked, number: int, answer: Answer) -> InferReply:
    """The reply to one sample of a request: a batch of one, with the sample's number among its parameters."""
    told = {
        "item": number,
        "final": answer.final,
        "forced": answer.forced,
        "operating_point": under_way.active.name,
        "generation": under_way.active.generation,
    }
    outputs = describe.outputs_of([answer], endpoint.deployment.classes)
    return InferReply(endpoint.deployment.name, describe.VERSION, outputs, asked.id, told)


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
    """A WebSocket on which requests come and answers go, each as soon as it is there, in any order."""

    def __init__(self, socket: WebSocket, endpoint: Endpoint, max_body: int) -> None:
        self._socket, self._endpoint, self._max_body = socket, endpoint, max_body
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue(MOST_UNREAD)
        self._room = asyncio.Semaphore(MOST_UNREAD)
        self._asked: set[Asked] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = False

    @property
    def idle(self) -> bool:
        """Whether all that was asked is answered and sent."""
        return not self._asked and self._outbox.empty() and not self._sending

    async def run(self) -> None:
        """Until the client leaves; what it has not heard then is cancelled."""
        await self._socket.accept()
        sender = asyncio.create_task(self._send())
        try:
            while True:
                await self._room.acquire()
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._hear(message)
        finally:
            for asked in self._asked:
                asked.cancel()
            for task in (sender, *self._tasks):
                task.cancel()

    async def _hear(self, message: Mapping[str, Any]) -> None:
        """Takes a request, or says what is wrong with it."""
        body, length = b"", None
        try:
            body, length = self._split(message)
            asked = asked_of(body, length)
            waiting = Each(asked.samples)
            under_way = self._endpoint.ask(asked.inputs, wish_of(asked.parameters), waiting.heard)
        except RefusedError as error:
            self._room.release()
            await self._outbox.put(error_of(error, _identity(body, length)))
            return
        except Exception:
            LOG.exception("a message could not be taken")
            self._room.release()
            await self._outbox.put(error_of(RefusedError(FAILED), _identity(body, length)))
            return
        self._asked.add(under_way)
        task = asyncio.create_task(self._answer(asked, under_way, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _split(self, message: Mapping[str, Any]) -> tuple[bytes, int | None]:
        text, raw = message.get("text"), message.get("bytes")
        body: bytes = (raw or b"") if text is None else text.encode("utf-8", "replace")
        if len(body) > self._max_body:
            raise TooLargeError(f"expected a message of at most {self._max_body} bytes, got {len(body)}")
        if text is not None:
            return body, None
        if len(body) < PREFIX:
            raise BadRequestError(f"expected a binary message to begin with {PREFIX} bytes, the length of its JSON")
        return body[PREFIX:], int.from_bytes(body[:PREFIX], "little")

    async def _answer(self, asked: InferRequest, under_way: Asked, waiting: Each) -> None:
        try:
            async for number, answer in waiting:
                if isinstance(answer, RefusedError):
                    await self._outbox.put(error_of(answer, asked.id, number))
                    continue
                encoded, length = reply_of(self._endpoint, asked, under_way, number, answer).encoded(asked)
                text = encoded.decode() if length is None else length.to_bytes(PREFIX, "little") + encoded
                await self._outbox.put(text)
        except Exception:
            LOG.exception("an answer could not be written")
            under_way.cancel()
            await self._outbox.put(error_of(RefusedError(FAILED), asked.id))
        finally:
            self._asked.discard(under_way)
            self._room.release()

    async def _send(self) -> None:
        while True:
            message = await self._outbox.get()
            self._sending = True
            if isinstance(message, str):
                await self._socket.send_text(message)
            else:
                await self._socket.send_bytes(message)
            self._sending = False


async def events(endpoint: Endpoint, asked: InferRequest, under_way: Asked, waiting: Each) -> AsyncIterator[str]:
    """Server-sent events: one reply each, as JSON."""
    outputs = None if asked.outputs is None else dict.fromkeys(asked.outputs, False)
    plain = replace(asked, outputs=outputs, binary=False)
    try:
        async for number, answer in waiting:
            if isinstance(answer, RefusedError):
                yield f"event: error\ndata: {error_of(answer, asked.id, number)}\n\n"
            else:
                encoded, _ = reply_of(endpoint, plain, under_way, number, answer).encoded(plain)
                yield f"data: {encoded.decode()}\n\n"
    finally:
        under_way.cancel()


def _identity(body: bytes, length: int | None) -> str | None:
    """The id of a request that may be wrong in every other way."""
    try:
        found = json.loads(body if length is None else body[:length])["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and len(found) <= MOST_ID else None
