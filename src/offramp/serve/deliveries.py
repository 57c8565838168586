"""Counts what is still to be delivered, so that the server does not go down before."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Deliveries:
    """An ASGI application around another one.

    Attributes:
        open: requests that came in whole and whose replies, streams of events included, are not written to the end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers as the application within does."""
        if scope["type"] != "http" or scope["method"] != "POST":  # what is only looked at is not waited for
            await self._app(scope, receive, send)
            return
        whole = False

        async def received() -> Message:
            nonlocal whole
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False) and not whole:
                whole = True
                self.open += 1
            return message

        try:
            await self._app(scope, received, send)
        finally:
            self.open -= whole
