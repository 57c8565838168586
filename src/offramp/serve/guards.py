"""What every route needs: the body within its limit, the token, and errors as the protocol's clients read them."""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from offramp.serve.errors import (
    BadRequestError,
    BusyError,
    RefusedError,
    TooLargeError,
    UnauthorizedError,
    UnsupportedError,
)
from offramp.serve.protocol import HEADER

T = TypeVar("T")

FAILED = "the server failed on this request"
"""All that a client hears of a failure of the server's own."""


async def body_of(request: Request, most: int) -> bytearray:
    """The body, gathered in one place, so that a large one is in memory once.

    Raises:
        TooLargeError: if it has more bytes; what is left of it is not read.
        UnsupportedError: if it is compressed.
        ClientDisconnect: if the client hangs up in the middle.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedError("expected a body that is not compressed; leave the compression of requests off")
    length = request.headers.get("content-length", "")
    if length.isdigit() and (len(length) > 15 or int(length) > most):
        raise TooLargeError(f"expected a body of at most {most} bytes, got more")
    body = bytearray()
    async for part in request.stream():
        if len(body) + len(part) > most:
            raise TooLargeError(f"expected a body of at most {most} bytes, got more")
        body += part
    return body


def json_length(request: Request) -> int | None:
    """How many bytes of the body are JSON, where the client says so.

    Raises:
        BadRequestError: if that is no number.
    """
    told = request.headers.get(HEADER)
    if told is None:
        return None
    if not told.isascii() or not told.isdigit() or len(told) > 12:
        raise BadRequestError(f"expected {HEADER} as a number of bytes")
    return int(told)


def json_of(body: bytes | bytearray) -> Any:
    """The JSON in a body.

    Raises:
        BadRequestError: if it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"expected JSON: {error}"[:200]) from error


BASIC = 'Basic realm="offramp", charset="UTF-8"'
"""What makes a browser ask for the token, and send it with all that the page asks for."""


def allowed(connection: HTTPConnection, token: str | None, challenge: str = "Bearer") -> None:
    """Refuses whoever does not have the token, where there is one: as a bearer token, or as a password of any user.

    Raises:
        UnauthorizedError: if so; or if a page of another site has a browser send a password that it remembers.
    """
    if token is None:
        return
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    secret = given.strip().encode("latin-1", "replace")
    if basic := scheme.lower() == "basic":
        secret = _password(secret)
    if not hmac.compare_digest(secret, token.encode("utf-8")) or scheme.lower() not in ("basic", "bearer"):
        raise UnauthorizedError("expected the header Authorization: Bearer TOKEN with the right token", challenge)
    if basic:
        same_origin(connection)


def _password(given: bytes) -> bytes:
    """The password of basic authentication; empty where there is none."""
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def same_origin(connection: HTTPConnection) -> None:
    """Refuses what a page of another site asks from within a browser.

    Raises:
        UnauthorizedError: if so.
    """
    origin = connection.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != connection.headers.get("host"):
        raise UnauthorizedError("expected a page of this server, got one of another site")


async def until_gone(
    request: Request, future: "asyncio.Future[T]", cancel: Callable[[], None], seconds: float | None = None
) -> T:
    """What a future brings, unless the client hangs up or so many seconds pass before.

    Raises:
        ClientDisconnect: if it hung up.
        TimeoutError: if it took too long.
    """
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        both: set[asyncio.Future[Any]] = {future, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED, timeout=seconds)
        if future.done():
            return future.result()
        if gone.done():
            raise ClientDisconnect
        raise TimeoutError
    except BaseException:
        cancel()
        raise
    finally:
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def refused(request: Request, error: Exception) -> Response:
    """A refusal as the protocol's clients read it."""
    assert isinstance(error, RefusedError)
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = error.challenge
    return JSONResponse({"error": said(error)}, error.status, headers)


def said(error: Exception) -> str:
    """The message, without what cannot be written."""
    return str(error)[:300].encode("utf-8", "replace").decode()


def http_error(request: Request, error: Exception) -> Response:
    """What the router refuses, such as an unknown path."""
    assert isinstance(error, HTTPException)
    told = f"{error.detail}: {request.method} {request.scope['path']}"
    return JSONResponse({"error": told[:300].encode("utf-8", "replace").decode()}, error.status_code, error.headers)


def too_late(request: Request, error: Exception) -> Response:
    """The answer did not come in time."""
    return JSONResponse({"error": "the deadline passed; give it more time"}, 504)


def failed(request: Request, error: Exception) -> Response:
    """A failure of the server's own, which says nothing of its inside."""
    return JSONResponse({"error": FAILED}, 500)


def hung_up(request: Request, error: Exception) -> Response:
    """Nobody reads this; 499 is what servers log for it."""
    return Response(status_code=499)
