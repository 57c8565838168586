"""The cells of the grid, and how those of one model on one back end are timed."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import torchvision_shim
from benchmarks.kept import kept
from benchmarks.speed.cases import Case, imposed, real
from offramp.benching import precision
from offramp.machine import threads_set
from offramp.speed import Backend, grid


@dataclass(frozen=True)
class Cell:
    """One back end at one batch size with so many threads."""

    case: str
    backend: str
    int8: bool
    batch: int
    threads: int

    @property
    def name(self) -> str:
        """Names the file it is kept in."""
        return f"{self.case}-{self.backend}{'-int8' * self.int8}-b{self.batch}-t{self.threads}"


@dataclass(frozen=True)
class Places:
    """Where things are."""

    work: Path
    data: Path
    bundles: Path


def cells(config: dict[str, Any]) -> list[Cell]:
    """All cells that the config does not leave out (by patterns of their names), those of one model together."""
    everything = [
        Cell(case, backend, int8, batch, int(threads))
        for case in (*config["imposed"], *config["real"])
        for threads, batches in config["threads"].items()
        for int8, backends in ((False, config["backends"]), (True, config["int8"]))
        for backend in backends
        for batch in batches
    ]
    return [cell for cell in everything if not any(re.fullmatch(out, cell.name) for out in config["left_out"])]


def groups(wanted: Sequence[Cell], work: Path) -> list[list[Cell]]:
    """The cells that are missing, those of one model on one back end together."""
    missing = [cell for cell in wanted if not (work / f"{cell.name}.json").exists()]
    keys = dict.fromkeys(replace(cell, batch=0) for cell in missing)
    return [[cell for cell in missing if replace(cell, batch=0) == key] for key in keys]


def measure(some: Sequence[Cell], config: dict[str, Any], places: Places) -> None:
    """Runs cells of one model on one back end; each is kept as soon as it is done."""
    torchvision_shim.install()
    torch.set_grad_enabled(False)
    first = some[0]
    if first.case in config["imposed"]:
        case = imposed(first.case, config, first.int8, first.threads, config["device"])
    else:
        where = (places.work, places.data, places.bundles)
        case = real(first.case, config, first.int8, first.backend, first.threads, *where)
    for cell in some:
        found = kept(places.work / f"{cell.name}.json", measured(cell, config, case))
        for row in found["rows"]:
            print(f"{cell.name:50s} {row['point']:20s} {row['ms']:9.2f} ms {row['ratio_to_uncut']:.3f}", flush=True)


def measured(cell: Cell, config: dict[str, Any], case: Case) -> Callable[[], dict[str, Any]]:
    """What measures a cell when it is called."""

    def work() -> dict[str, Any]:
        precise = "int8" if cell.int8 else precision(case.live, cell.backend)
        with threads_set(cell.threads):
            rows = grid(
                [Backend(cell.backend, precise, case.makes(cell.backend))],
                case.points,
                case.live.multi_exit.point_of,
                case.live.multi_exit.macs(),
                {cell.batch: rounds(case, cell.batch, config)},
                cell.threads,
                case.promises,
            )
        return {"rows": [{"model": cell.case, **asdict(row)} for row in rows]}

    return work


def rounds(case: Case, batch: int, config: dict[str, Any]) -> Sequence[Sequence[Any]]:
    """Batches for each round; each has at least as many samples as the config says."""
    generator = np.random.default_rng(batch)
    count = max(1, -(-config["samples"] // batch))
    return [[case.draw(batch, generator) for _ in range(count)] for _ in range(config["rounds"][str(batch)])]
