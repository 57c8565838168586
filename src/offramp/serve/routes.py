"""What the server answers, by path."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.websockets import WebSocket

import offramp
from offramp.serve import describe, texts
from offramp.serve.aside import aside
from offramp.serve.asking import asked_of, wish_of
from offramp.serve.endpoint import Endpoint
from offramp.serve.errors import BadRequestError, NotFoundError, RefusedError, UnauthorizedError
from offramp.serve.guards import allowed, body_of, json_length, json_of, same_origin, until_gone
from offramp.serve.hosting import Host, Versions
from offramp.serve.limits import Limits
from offramp.serve.logs import tell
from offramp.serve.protocol import EXTENSIONS, HEADER, InferReply, InferRequest
from offramp.serve.room import Waiters
from offramp.serve.streams import Conversation, Events
from offramp.serve.waiting import All, Each
from offramp.serve.watch import Watch

SLACK = 5.0
"""Seconds after a deadline in which a batch that is under way may still reach its next exit."""


class Routes:
    """What the server answers, by path."""

    def __init__(self, host: Host, limits: Limits) -> None:
        self.host, self.limits = host, limits
        self.conversations: set[Conversation] = set()
        self._waiters = Waiters(host)

    @property
    def endpoint(self) -> Endpoint:
        """The model that answers now."""
        return self.host.endpoint

    @property
    def watch(self) -> Watch:
        """What is known of it."""
        return self.host.watch

    async def live(self, request: Request) -> Response:
        """Whether the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether it takes requests and the model works; where it does not, it is tried again."""
        self._model(request)
        ready = self.endpoint.ready
        if not ready:
            self.endpoint.try_again()
        return JSONResponse(
            {"name": self.endpoint.deployment.name, "live": True, "ready": ready}, 200 if ready else 503
        )

    async def server(self, request: Request) -> Response:
        """What server this is."""
        return JSONResponse({"name": "offramp", "version": offramp.__version__, "extensions": list(EXTENSIONS)})

    async def metadata(self, request: Request) -> Response:
        """The model's inputs and outputs."""
        endpoint = self._model(request)
        return JSONResponse(texts.metadata(describe.metadata(endpoint), endpoint.deployment))

    async def config(self, request: Request) -> Response:
        """The model's configuration, as Triton tells it."""
        endpoint = self._model(request)
        return JSONResponse(texts.configuration(describe.configuration(endpoint), endpoint.deployment))

    async def stats(self, request: Request) -> Response:
        """The model's statistics, as Triton tells them."""
        return JSONResponse(describe.statistics(self._model(request), self.watch.counted))

    async def index(self, request: Request) -> Response:
        """The models there are."""
        return JSONResponse(describe.index(self.endpoint))

    async def infer(self, request: Request) -> Response:
        """The answers to all samples of a request, counted."""
        model, known, status, began = self.endpoint.deployment.name, self.watch.metrics, 500, time.perf_counter()
        try:
            reply = await self._infer(request)
            status = reply.status_code
            known.latency.labels(model).observe(time.perf_counter() - began)
            return reply
        except RefusedError as error:
            status = error.status
            raise
        except (ClientDisconnect, TimeoutError) as error:
            status = 499 if isinstance(error, ClientDisconnect) else 504
            raise
        finally:
            known.requests.labels(model, str(status)).inc()

    async def _infer(self, request: Request) -> Response:
        allowed(request, self.limits.token)
        endpoint = self._model(request)
        asked, size = await self._asked(request, endpoint)
        waiting = All(asked.samples)
        wish = wish_of(asked.parameters)
        under_way = await aside(size, endpoint.ask, asked.inputs, wish, waiting.heard)
        limit = None if wish.deadline is None else wish.deadline + SLACK
        answers = await until_gone(request, waiting.future, under_way.cancel, limit)
        told: dict[str, Any] = {
            "operating_point": under_way.active.name,
            "generation": under_way.active.generation,
            "forced": sum(answer.forced for answer in answers),
            **texts.told_of_all(asked),
        }
        outputs = describe.outputs_of(answers, endpoint.deployment, asked.outputs)
        reply = InferReply(endpoint.deployment.name, under_way.active.version, outputs, asked.id, told)
        encoded, length = await aside(sum(tensor.nbytes for tensor in outputs.values()), reply.encoded, asked)
        if length is None:
            return Response(encoded, media_type="application/json")
        return Response(encoded, headers={HEADER: str(length)}, media_type="application/octet-stream")

    async def stream(self, request: Request) -> Response:
        """The same as server-sent events, each sample as soon as it is resolved."""
        endpoint = self._model(request)
        asked, size = await self._asked(request, endpoint)
        waiting = Each(asked.samples)
        under_way = await aside(size, endpoint.ask, asked.inputs, wish_of(asked.parameters), waiting.heard)
        return Events(endpoint.deployment, asked, under_way, waiting)

    async def _asked(self, request: Request, endpoint: Endpoint) -> tuple[InferRequest, int]:
        """What a request asks, and how many bytes that took."""
        body = await body_of(request, self.limits.max_body)
        asked = await aside(len(body), asked_of, body, json_length(request), endpoint.deployment)
        return await texts.tokenised(asked, endpoint), len(body)

    async def socket(self, websocket: WebSocket) -> None:
        """Requests and answers in any order."""
        try:
            same_origin(websocket)
            allowed(websocket, self.limits.token)
            if websocket.path_params["model"] != self.endpoint.deployment.name:
                raise NotFoundError("no such model")
        except RefusedError as error:
            await websocket.close(1008, str(error)[:120])
            return
        conversation = Conversation(websocket, self.host, self._waiters, self.limits)
        self.conversations.add(conversation)
        try:
            await conversation.run()
        finally:
            self.conversations.discard(conversation)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        model, known = self.endpoint.deployment.name, self.watch.metrics
        known.waiting.labels(model).set(self.endpoint.engine.waiting)
        known.now_active(self.endpoint.active.name)
        return Response(known.exposition(), media_type="text/plain; version=0.0.4")

    async def now(self, request: Request) -> Response:
        """What the page shows, anew each second until the server goes down."""
        return StreamingResponse(self._moments(), media_type="text/event-stream")

    async def _moments(self) -> AsyncIterator[str]:
        while self.endpoint.open:
            told = self.watch.snapshot(self.endpoint.active.name, self.endpoint.engine.waiting)
            told["switchable"] = self.limits.admin_token is not None
            yield f"data: {json.dumps(told)}\n\n"
            await asyncio.sleep(1.0)

    def idle(self) -> bool:
        """Whether all that was accepted is answered."""
        return self.host.idle and all(one.idle for one in self.conversations)

    async def points(self, request: Request) -> Response:
        """The operating points, and which is active."""
        return JSONResponse(describe.points(self._model(request)))

    async def switch(self, request: Request) -> Response:
        """Another active operating point."""
        self._admin(request)
        endpoint = self._model(request)
        told = json_of(await body_of(request, 65_536))
        if not isinstance(told, dict) or not isinstance(told.get("operating_point"), str):
            raise BadRequestError('expected {"operating_point": NAME}')
        active = endpoint.switch(told["operating_point"])
        tell(logging.INFO, "switch", f"now at {active.name}", point=active.name, generation=active.generation)
        return JSONResponse({"active": active.name, "generation": active.generation})

    async def load(self, request: Request) -> Response:
        """The newest version of the model, in Triton's words; what comes meanwhile is answered by the one before."""
        versions = self._versions(request)
        alone = ThreadPoolExecutor(1, "offramp-load")  # it takes long, and threads for large requests are few
        await asyncio.get_running_loop().run_in_executor(alone, versions.load)
        return JSONResponse(self._version())

    async def roll_back(self, request: Request) -> Response:
        """The version before."""
        self._versions(request).roll_back()
        return JSONResponse(self._version())

    def _version(self) -> dict[str, Any]:
        active = self.endpoint.active
        return {"version": active.version, "active": active.name, "generation": active.generation}

    def _versions(self, request: Request) -> Versions:
        """Where versions can be replaced, and only by whom it may be.

        Raises:
            UnauthorizedError: if by this client they may not.
            NotFoundError: if this server has but one.
        """
        self._admin(request)
        self._model(request)
        if not isinstance(self.host, Versions):
            raise NotFoundError("this server has one version of its model, and takes no other")
        return self.host

    def _admin(self, request: Request) -> None:
        if self.limits.admin_token is None:
            raise UnauthorizedError(f"this is off over the network; {self.limits.instead}")
        allowed(request, self.limits.admin_token)

    def _model(self, request: Request) -> Endpoint:
        """The model that a path names.

        Raises:
            NotFoundError: if it is not served here.
        """
        own = self.endpoint.deployment.name
        answers = self.endpoint.deployment.version
        name, version = request.path_params.get("model", own), request.path_params.get("version", answers)
        if name != own:
            raise NotFoundError(f"expected the model {own}, got {name}"[:200])
        if version != answers:
            raise NotFoundError(f"expected version {answers} of {own}, got {version}"[:200])
        return self.endpoint
