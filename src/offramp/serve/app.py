"""The server: Open Inference Protocol over HTTP, and streams that answer each sample as soon as it is resolved."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

import offramp
from offramp.serve import describe
from offramp.serve.asking import asked_of, wish_of
from offramp.serve.endpoint import Endpoint
from offramp.serve.errors import BadRequestError, NotFoundError, RefusedError, UnauthorizedError
from offramp.serve.guards import (
    allowed,
    body_of,
    failed,
    http_error,
    hung_up,
    json_length,
    json_of,
    refused,
    same_origin,
    too_late,
    until_gone,
)
from offramp.serve.protocol import EXTENSIONS, HEADER, InferReply
from offramp.serve.streams import Conversation, events
from offramp.serve.waiting import All, Each
from offramp.serve.watch import Watch

MODEL = "/v2/models/{model}"

PAGE = Path(__file__).with_name("page.html")

SLACK = 5.0
"""Seconds after a deadline in which a batch that is under way may still reach its next exit."""


@dataclass(frozen=True)
class Limits:
    """What the server lets happen.

    Attributes:
        max_body: bytes of a request.
        token: that inference needs; None: none.
        admin_token: that switching needs; None: it cannot be switched over the network.
        instead: what is said to whoever tries to switch then.
    """

    max_body: int = 64 * 2**20
    token: str | None = None
    admin_token: str | None = None
    instead: str = "start the server with an admin token"


class Routes:
    """What the server answers, by path."""

    def __init__(self, endpoint: Endpoint, watch: Watch, limits: Limits) -> None:
        self.endpoint, self.watch, self.limits = endpoint, watch, limits
        self.conversations: set[Conversation] = set()

    async def live(self, request: Request) -> Response:
        """Whether the process answers."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether it takes requests."""
        self._model(request)
        ready = self.endpoint.open
        return JSONResponse(
            {"name": self.endpoint.deployment.name, "live": True, "ready": ready}, 200 if ready else 503
        )

    async def server(self, request: Request) -> Response:
        """What server this is."""
        return JSONResponse({"name": "offramp", "version": offramp.__version__, "extensions": list(EXTENSIONS)})

    async def metadata(self, request: Request) -> Response:
        """The model's inputs and outputs."""
        return JSONResponse(describe.metadata(self._model(request)))

    async def config(self, request: Request) -> Response:
        """The model's configuration, as Triton tells it."""
        return JSONResponse(describe.configuration(self._model(request)))

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
        asked = asked_of(await body_of(request, self.limits.max_body), json_length(request))
        waiting = All(asked.samples)
        wish = wish_of(asked.parameters)
        under_way = endpoint.ask(asked.inputs, wish, waiting.heard)
        limit = None if wish.deadline is None else wish.deadline + SLACK
        answers = await until_gone(request, waiting.future, under_way.cancel, limit)
        told: dict[str, Any] = {
            "operating_point": under_way.active.name,
            "generation": under_way.active.generation,
            "forced": sum(answer.forced for answer in answers),
        }
        outputs = describe.outputs_of(answers, endpoint.deployment.classes)
        reply = InferReply(endpoint.deployment.name, describe.VERSION, outputs, asked.id, told)
        encoded, length = reply.encoded(asked)
        if length is None:
            return Response(encoded, media_type="application/json")
        return Response(encoded, headers={HEADER: str(length)}, media_type="application/octet-stream")

    async def stream(self, request: Request) -> Response:
        """The same as server-sent events, each sample as soon as it is resolved."""
        allowed(request, self.limits.token)
        endpoint = self._model(request)
        asked = asked_of(await body_of(request, self.limits.max_body), json_length(request))
        waiting = Each(asked.samples)
        under_way = endpoint.ask(asked.inputs, wish_of(asked.parameters), waiting.heard)
        return StreamingResponse(events(endpoint, asked, under_way, waiting), media_type="text/event-stream")

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
        conversation = Conversation(websocket, self.endpoint, self.limits.max_body)
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

    async def page(self, request: Request) -> Response:
        """What is going on, for people."""
        return Response(PAGE.read_text(encoding="utf-8"), media_type="text/html", headers={"Cache-Control": "no-store"})

    async def now(self, request: Request) -> Response:
        """What the page shows, anew each second until the server goes down."""
        return StreamingResponse(self._moments(), media_type="text/event-stream")

    async def _moments(self) -> AsyncIterator[str]:
        while self.endpoint.open:
            told = self.watch.snapshot(self.endpoint.active.name, self.endpoint.engine.waiting)
            yield f"data: {json.dumps(told)}\n\n"
            await asyncio.sleep(1.0)

    def idle(self) -> bool:
        """Whether all that was accepted is answered."""
        return self.endpoint.engine.idle and all(one.idle for one in self.conversations)

    async def points(self, request: Request) -> Response:
        """The operating points, and which is active."""
        return JSONResponse(describe.points(self._model(request)))

    async def switch(self, request: Request) -> Response:
        """Another active operating point."""
        if self.limits.admin_token is None:
            raise UnauthorizedError(f"switching over the network is off; {self.limits.instead}")
        allowed(request, self.limits.admin_token)
        endpoint = self._model(request)
        told = json_of(await body_of(request, 65_536))
        if not isinstance(told, dict) or not isinstance(told.get("operating_point"), str):
            raise BadRequestError('expected {"operating_point": NAME}')
        active = endpoint.switch(told["operating_point"])
        return JSONResponse({"active": active.name, "generation": active.generation})

    def _model(self, request: Request) -> Endpoint:
        """The model that a path names.

        Raises:
            NotFoundError: if it is not served here.
        """
        own = self.endpoint.deployment.name
        name, version = request.path_params.get("model", own), request.path_params.get("version", describe.VERSION)
        if name != own:
            raise NotFoundError(f"expected the model {own}, got {name}"[:200])
        if version != describe.VERSION:
            raise NotFoundError(f"expected version {describe.VERSION} of {own}, got {version}"[:200])
        return self.endpoint


Answers = Callable[[Request], Awaitable[Response]]


def application(endpoint: Endpoint, watch: Watch, limits: Limits | None = None) -> Starlette:
    """The server as an ASGI application; `app.state.idle()` says whether all that was accepted is answered."""
    on = Routes(endpoint, watch, limits or Limits())
    per_model: list[tuple[str, Answers, str]] = [
        ("", on.metadata, "GET"),
        ("/ready", on.ready, "GET"),
        ("/config", on.config, "GET"),
        ("/stats", on.stats, "GET"),
        ("/infer", on.infer, "POST"),
        ("/infer_stream", on.stream, "POST"),
        ("/points", on.points, "GET"),
        ("/active", on.switch, "PUT"),
    ]
    routes: list[BaseRoute] = [
        Route("/v2", on.server),
        Route("/v2/health/live", on.live),
        Route("/v2/health/ready", on.ready),
        Route("/v2/repository/index", on.index, methods=["POST"]),
        Route("/", on.page),
        Route("/live", on.now),
        Route("/metrics", on.metrics),
        WebSocketRoute(MODEL + "/ws", on.socket),
        *(Route(MODEL + path, answer, methods=[how]) for path, answer, how in per_model),
        *(Route(MODEL + "/versions/{version}" + path, answer, methods=[how]) for path, answer, how in per_model),
    ]
    handlers: dict[Any, Callable[[Request, Exception], Response]] = {
        RefusedError: refused,
        ClientDisconnect: hung_up,
        TimeoutError: too_late,
        HTTPException: http_error,
        Exception: failed,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.idle = on.idle
    return app
