"""Time of operating points on real texts, against the uncut model on the same back end, interleaved."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from offramp.backends import executors
from offramp.bundle import Bundle
from offramp.inputs import leaves
from offramp.load.tables import TextTable
from offramp.machine import threads_set
from offramp.speed import PLANNED, Backend, grid

THREADS = 1


def timed(bundle: Bundle, test: TextTable, points: dict[str, str], config: dict[str, Any]) -> dict[str, Any]:
    """Rows of `offramp.speed.grid` for each back end and batch size, and how much else the machine had to do.

    Args:
        bundle: attached to its backbone.
        test: the texts; each batch is of random ones, as long as its longest.
        points: names of the operating points, by the name that the page uses.
        config: of the timing.
    """
    load, rows = os.getloadavg()[0], []
    chosen = {one.name: one for one in map(bundle.point, points.values())}
    promises = {name: one.bound.epsilon for name, one in chosen.items() if one.bound is not None}
    live = bundle.live
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder, threads_set(THREADS):
        for name, make in executors(live, config["backends"], Path(folder), THREADS).items():
            backend = Backend(name, "fp32", make)
            batches = {size: _rounds(test, size, name == "eager", config) for size in config["batch_sizes"]}
            configurations = {point: one.configuration for point, one in chosen.items()}
            found = grid(
                [backend],
                configurations,
                live.multi_exit.point_of,
                live.multi_exit.macs(),
                batches,
                THREADS,
                promises,
            )
            rows += [asdict(row) for row in found if not row.point.endswith(PLANNED)]
    return {"load_before": load, "points": points, "rows": rows}


def _rounds(test: TextTable, size: int, in_torch: bool, config: dict[str, Any]) -> list[list[Any]]:
    """The same batches for every back end."""
    generator = np.random.default_rng(size)
    count = max(1, config["samples"] // size)
    return [[_batch(test, generator, size, in_torch) for _ in range(count)] for _ in range(config["rounds"])]


def _batch(test: TextTable, generator: np.random.Generator, size: int, in_torch: bool) -> Any:
    found = test.inputs(generator.choice(len(test), size, replace=False))
    if in_torch:
        return found
    assert isinstance(found, dict)
    return dict(zip(found, (one.numpy() for one in leaves(found)), strict=True))
