"""Logs that machines read: one JSON object a line, whatever happened."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from offramp.errors import UnknownNameError
from offramp.serve.batcher import Batching
from offramp.serve.care import Care, cared
from offramp.serve.logs import LOG, configure, tell
from offramp.serve.monitor import Audits
from tests.serve.world import deployment


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in ("offramp.serve", "uvicorn")]
    before = [(one.handlers, one.propagate, one.level) for one in loggers]
    stream = io.StringIO()
    configure("json", handler=logging.StreamHandler(stream))
    yield stream
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.level = handlers, propagate, level


def test_each_line_is_an_object_with_its_facts(lines: io.StringIO) -> None:
    tell(logging.INFO, "switch", 'now at "fast"\nindeed', point="fast", generation=3)
    try:
        raise ValueError("inside")
    except ValueError:
        LOG.exception("a batch of %d was given up", 4)
    logging.getLogger("uvicorn.error").info("not said")
    logging.getLogger("uvicorn.error").warning("said")
    first, second, third = map(json.loads, lines.getvalue().splitlines())
    assert {**first, "time": ""} == {
        "time": "",
        "level": "info",
        "event": "switch",
        "message": 'now at "fast"\nindeed',
        "point": "fast",
        "generation": 3,
    }
    assert abs(datetime.fromisoformat(first["time"]).timestamp() - datetime.now().timestamp()) < 60
    assert (second["level"], second["message"]) == ("error", "a batch of 4 was given up")
    assert "ValueError: inside" in second["trace"]
    assert third["message"] == "said"


def test_an_alarm_says_what_was_promised_and_what_was_found(lines: io.StringIO) -> None:
    with cared(Care(Audits(1.0), fallback=True), Batching()) as begun:
        version = begun(deployment(), 0)
        version.endpoint.switch("balanced")
        point = version.endpoint.active.name
        version.watch.auditor.saw(point, [True] * 500)
        assert version.endpoint.active.name == "full"
        version.endpoint.engine.close(20.0)
    told = json.loads(lines.getvalue())
    assert (told["event"], told["point"], told["fallback"]) == ("alarm", point, "full")
    assert told["disagreement"] == 1.0
    assert 0.0 < told["promise"] < 1.0


def test_text_is_for_people_and_other_forms_are_unknown(lines: io.StringIO) -> None:
    stream = io.StringIO()
    configure("text", handler=logging.StreamHandler(stream))
    tell(logging.WARNING, "alarm", "more disagreement", point="fast")
    assert stream.getvalue().endswith("WARNING more disagreement\n")
    with pytest.raises(UnknownNameError, match="text"):
        configure("xml")
