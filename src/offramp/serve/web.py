"""The web page: files of this package, which ask for nothing from any other place."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).with_name("page")

FILES = {
    "/": ("index.html", "text/html"),
    "/page/page.css": ("page.css", "text/css"),
    **{f"/page/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "pictures", "words")},
}
"""By path the file and its type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser lets the page do: its own script and style, requests to this server, its icon."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


Answers = Callable[[Request], Awaitable[Response]]


def page(guarded: Callable[[Answers], Answers]) -> list[BaseRoute]:
    """The routes of the page, for whom they are meant."""
    return [_route(path, *one, guarded) for path, one in FILES.items()]


def _route(path: str, name: str, kind: str, guarded: Callable[[Answers], Answers]) -> Route:
    file = FOLDER / name

    async def answer(request: Request) -> Response:
        return Response(file.read_text(encoding="utf-8"), media_type=kind, headers=HEADERS)

    return Route(path, guarded(answer), name=name)
