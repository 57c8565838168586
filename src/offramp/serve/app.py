"""The server: Open Inference Protocol over HTTP, and streams that answer each sample as soon as it is resolved."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from offramp.serve.deliveries import Deliveries
from offramp.serve.errors import RefusedError
from offramp.serve.guards import BASIC, allowed, failed, http_error, hung_up, refused, too_late
from offramp.serve.hosting import Host
from offramp.serve.limits import Limits
from offramp.serve.routes import Routes
from offramp.serve.web import page

MODEL = "/v2/models/{model}"

Answers = Callable[[Request], Awaitable[Response]]


def application(host: Host, limits: Limits | None = None) -> tuple[Deliveries, Callable[[], bool]]:
    """The server as an ASGI application, and what says whether all that was accepted is answered.

    Where there is a token it is needed for everything but health. Switching and replacing the model has one of its own.
    """
    limits = limits or Limits()
    on = Routes(host, limits)

    def guarded(answers: Answers, challenge: str = "Bearer") -> Answers:
        async def answer(request: Request) -> Response:
            allowed(request, limits.token, challenge)
            return await answers(request)

        return answer

    per_model: list[tuple[str, Answers, str]] = [
        ("", guarded(on.metadata), "GET"),
        ("/ready", on.ready, "GET"),
        ("/config", guarded(on.config), "GET"),
        ("/stats", guarded(on.stats), "GET"),
        ("/infer", on.infer, "POST"),
        ("/infer_stream", guarded(on.stream), "POST"),
        ("/points", guarded(on.points), "GET"),
        ("/active", on.switch, "PUT"),
        ("/rollback", on.roll_back, "POST"),
    ]
    routes: list[BaseRoute] = [
        Route("/v2", guarded(on.server)),
        Route("/v2/health/live", on.live),
        Route("/v2/health/ready", on.ready),
        Route("/v2/repository/index", guarded(on.index), methods=["POST"]),
        Route("/v2/repository/models/{model}/load", on.load, methods=["POST"]),
        *page(lambda answers: guarded(answers, BASIC)),
        Route("/live", guarded(on.now, BASIC)),
        Route("/metrics", guarded(on.metrics)),
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
    app.router.redirect_slashes = False  # a path with a slash too many is none, as JSON
    deliveries = Deliveries(app)
    return deliveries, lambda: deliveries.open == 0 and on.idle()
