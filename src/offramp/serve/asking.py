"""What a request asks for, out of its parameters and the names of outputs."""

from collections.abc import Iterable, Mapping
from typing import Any

from offramp.serve import describe
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Wish
from offramp.serve.errors import BadRequestError
from offramp.serve.protocol import InferRequest, parse


def asked_of(body: bytes | bytearray, json_length: int | None, deployment: Deployment) -> InferRequest:
    """The request in a body, with outputs that there are.

    Raises:
        BadRequestError: saying what is wrong with it.
    """
    asked = parse(body, json_length)
    known = describe.outputs(deployment)
    unknown = next((name for name in asked.outputs or {} if name not in known), None)
    if unknown is not None:
        raise BadRequestError(f"expected outputs among {', '.join(known)}, got {unknown!r}"[:200])
    if asked.outputs is None and not _flag(asked.parameters, "return_exit_info", True):
        outputs = dict.fromkeys(_plain(deployment, known), asked.binary)
        return InferRequest(asked.id, asked.inputs, outputs, asked.binary, asked.parameters)
    return asked


def _plain(deployment: Deployment, known: Iterable[str]) -> list[str]:
    """Outputs that say nothing about exits, and do not have to be asked for."""
    return [name for name in known if name not in describe.OF_EXITS and name not in describe.full_of(deployment)]


def wish_of(parameters: Mapping[str, Any]) -> Wish:
    """What the parameters of a request wish.

    Raises:
        BadRequestError: if one of them is of another kind than it should be.
    """
    point, last = parameters.get("operating_point"), parameters.get("max_exit")
    milliseconds = parameters.get("deadline_ms")
    if point is not None and not isinstance(point, str):
        raise BadRequestError("expected operating_point as a string")
    if last is not None and (not isinstance(last, int) or isinstance(last, bool)):
        raise BadRequestError("expected max_exit as a whole number")
    if milliseconds is None:
        seconds = None
    elif isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not 0 < milliseconds < 1e9:
        raise BadRequestError("expected deadline_ms as a positive number")
    else:
        seconds = milliseconds / 1000.0
    return Wish(point, last, seconds, _flag(parameters, "anytime", False))


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    found = parameters.get(name, default)
    if not isinstance(found, bool):
        raise BadRequestError(f"expected {name} as true or false")
    return found
