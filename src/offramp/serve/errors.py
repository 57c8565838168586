"""What a request can be answered with instead of an inference; the status is HTTP's."""


class RefusedError(Exception):
    """A request that is not answered as asked; its message goes to the client, so it names no file of this machine."""

    status = 500


class BadRequestError(RefusedError):
    """The request cannot be understood or does not fit the model."""

    status = 400


class UnauthorizedError(RefusedError):
    """The token is missing or wrong.

    Attributes:
        challenge: how it can be given, as HTTP's `WWW-Authenticate` says it.
    """

    status = 401

    def __init__(self, message: str, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class NotFoundError(RefusedError):
    """There is no such model, version or operating point."""

    status = 404


class ConflictError(RefusedError):
    """The model cannot be replaced as asked."""

    status = 409


class TooLargeError(RefusedError):
    """The body is larger than the server takes."""

    status = 413


class BusyError(RefusedError):
    """The queue is full, or the server is going down.

    Attributes:
        retry_after: seconds after which it is worth another try.
    """

    status = 503

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FullError(BusyError):
    """The queue is full now, so it is worth waiting."""


class ModelFailedError(RefusedError):
    """The model raised on a sample that it should have taken."""


class TooLateError(RefusedError):
    """The deadline passed before the first exit."""

    status = 504


class UnsupportedError(RefusedError):
    """The request comes in a form that is not spoken here."""

    status = 415
