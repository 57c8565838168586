"""What the server says of itself on standard error: lines for people, or one JSON object each for machines."""

import json
import logging
import sys
import time
from typing import Any

from offramp.errors import UnknownNameError

LOG = logging.getLogger("offramp.serve")

FORMS = ("text", "json")

_OWN = "offramp_event"
"""Attribute of a record that holds the name of what happened and its facts."""


def tell(level: int, event: str, message: str, **facts: Any) -> None:
    """Something happened.

    Args:
        level: of `logging`.
        event: its name, the same each time that this happens.
        message: for people.
        facts: about it, as JSON takes them.
    """
    LOG.log(level, message, extra={_OWN: (event, facts)})


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (UTC, ISO 8601), `level`, `event`, `message`, facts, and a `trace` of failures."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        event, facts = getattr(record, _OWN, (record.name, {}))
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": event,
            "message": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def configure(form: str, level: int = logging.INFO, handler: logging.Handler | None = None) -> None:
    """Sends what the server and uvicorn say somewhere.

    Args:
        form: one of `FORMS`.
        level: what is less is not said.
        handler: where to; default standard error.

    Raises:
        UnknownNameError: if there is no such form.
    """
    if form not in FORMS:
        raise UnknownNameError.among("form of logs", form, FORMS)
    handler = handler or logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonLines() if form == "json" else text)
    for name, least in (("offramp.serve", level), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)
