"""What the server lets happen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server lets happen.

    Attributes:
        max_body: bytes of a request.
        token: needed for all but health where it is given; None: none is needed.
        admin_token: that switching needs; None: it cannot be switched over the network.
        patience: seconds after which a client of a WebSocket that reads none of its answers is let go.
        instead: what is said to whoever tries to switch where that is off.
    """

    max_body: int = 64 * 2**20
    token: str | None = None
    admin_token: str | None = None
    patience: float = 60.0
    instead: str = "start the server with an admin token"
