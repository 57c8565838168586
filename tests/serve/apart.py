"""Exported stages that answer one by one in this process, as replicas do in theirs."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from offramp.decide.rule import rule
from offramp.exporting import export
from offramp.run.apart import Apart
from offramp.run.group import Failed, Group, Told
from offramp.serve.batcher import Batching
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.errors import RefusedError
from offramp.serve.forwarding import Forwarding, Route, Step, Track
from offramp.serve.loading import from_stages
from offramp.serve.sample import Answer
from offramp.serve.widest import widest
from offramp.spread import Folder
from tests.exports import NESTED, nested
from tests.serve.world import Ears, Notes


def stages(folder: Path, by: str = "direct") -> Path:
    """Exported stages whose scores decide by that rule."""
    export(nested(), folder, NESTED)
    found = json.loads((folder / "routing.json").read_text())
    (folder / "routing.json").write_text(json.dumps(found | {"rule": by}))
    return folder


def seen(folder: Path) -> Folder:
    return widest(folder, "onnx", 1)


Wrap = Callable[[int | None, Step], Step]


def route(folder: Folder, wrap: Wrap = lambda _, step: step) -> Route:
    """The way through the stages of a folder; `wrap` makes of each step, with its place, what is used."""

    def step(place: int | None) -> Step:
        apart: Apart = folder.ready(place)

        async def run(group: Group) -> Told | Failed:
            await asyncio.sleep(0)
            return apart.answers([group.shifted(0.0)])[0]

        return wrap(place, run)

    early = Track(folder.names, tuple(step(place) for place in range(len(folder.stages))))
    return Route(early, Track(folder.uncut.inputs, (step(None),)), rule(folder.routing.rule))


async def heard(
    folder: Path, asked: list[tuple[dict[str, np.ndarray], Wish]], wrap: Wrap = lambda _, step: step, **wishes: Any
) -> tuple[list[Ears], Notes]:
    """What the samples of some requests hear, sent from stage to stage."""
    notes, several = Notes(), [Ears() for _ in asked]
    batching = wishes.pop("batching", Batching(16, 0.0, 4096))
    engine = Forwarding(route(seen(folder), wrap), notes, batching)
    endpoint = Endpoint(from_stages(folder), notes, engine=engine, **wishes)
    for (inputs, wish), ears in zip(asked, several, strict=True):
        endpoint.ask(inputs, wish, ears)
    until = time.monotonic() + 30
    while not engine.idle and time.monotonic() < until:
        await asyncio.sleep(0.005)
    assert engine.idle
    return several, notes


def here(
    folder: Path, asked: list[tuple[dict[str, np.ndarray], Wish]], **wishes: Any
) -> list[list[Answer | RefusedError]]:
    """The same in one process."""
    endpoint = Endpoint(from_stages(folder, threads=1), Notes(), **wishes)
    try:
        several = [Ears() for _ in asked]
        for (inputs, wish), ears in zip(asked, several, strict=True):
            endpoint.ask(inputs, wish, ears)
        return [ears.finals(len(inputs["input0"])) for (inputs, _), ears in zip(asked, several, strict=True)]
    finally:
        assert endpoint.engine.close(20.0)
