"""How much memory a multi-exit model takes: its size, what it allocates on the way through, and its peak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

import numpy as np
from torch import nn

from offramp.bundle import Bundle
from offramp.deployed import RUNTIMES, UNCUT
from offramp.errors import UnknownNameError
from offramp.exporting import export
from offramp.inputs import Inputs, batch_size
from offramp.memory_child import Arrays, Request, in_child, write_batch
from offramp.model.multi_exit import MultiExit
from offramp.progress import Progress, silent
from offramp.run.headed import array
from offramp.run.routing import Routing
from offramp.sources import Source

BACKENDS = ("eager", *RUNTIMES)
"""The back ends whose memory can be measured; all run on the processor."""

Sizes = tuple[int, int | None]
"""Bytes of the model, and of its heads where they are not in it."""


@dataclass(frozen=True)
class MemoryRow:
    """One cell of the grid; all in bytes.

    Attributes:
        backend: what it ran on.
        batch: samples at a time.
        point: an operating point, or `uncut` for the plain model.
        model_bytes: parameters and buffers of the backbone; of exported stages, their files, which hold heads as well.
        head_bytes: parameters and buffers of the heads that the point asks; None where they are in the stages' files.
        allocated_bytes_per_sample: what torch allocates for tensors on the way through, in the mean over the samples
            (`offramp.run.allocations`); None on a runtime that does not show it.
        imported_rss_bytes: peak resident memory of a fresh process when everything was imported and nothing loaded.
        loaded_rss_bytes: its peak when the model had been loaded.
        peak_rss_bytes: its peak when all batches had been run.
    """

    backend: str
    batch: int
    point: str
    model_bytes: int
    head_bytes: int | None
    allocated_bytes_per_sample: float | None
    imported_rss_bytes: int
    loaded_rss_bytes: int
    peak_rss_bytes: int


@dataclass(frozen=True)
class Origin:
    """Where a fresh process finds what it is to load.

    Attributes:
        bundle: the folder of the bundle.
        model: how the model is called, as `load_model` takes it.
        weights: the file of its weights, if any.
        small: how the small model is called, where it must be.
    """

    bundle: Path
    model: str
    weights: str | None = None
    small: str | None = None


def size_of(*modules: nn.Module) -> int:
    """Bytes of all parameters and buffers; what is shared counts once.

    >>> size_of(nn.Linear(3, 2))
    32
    """
    together = nn.ModuleList(modules)
    return sum(one.numel() * one.element_size() for one in chain(together.parameters(), together.buffers()))


def size_of_files(folder: Path, routing: Routing, point: str) -> int:
    """Bytes of the exported stages of an operating point, or of the `uncut` model.

    Beside the stages of a point its executor always keeps the uncut model at hand, which is not in this number.
    """
    cut = UNCUT if point == UNCUT else routing.points[point].cut
    return sum((folder / stage.file).stat().st_size for stage in routing.cuts[cut])


def grid(
    bundle: Bundle,
    origin: Origin,
    backends: Sequence[str],
    points: Sequence[str],
    batches: Mapping[int, Sequence[Inputs]],
    work: Path,
    threads: int = 1,
    progress: Progress = silent,
) -> list[MemoryRow]:
    """The memory of each back end, batch size and operating point, and of the uncut model; each in a fresh process.

    Args:
        bundle: attached to its backbone.
        origin: where the processes load them from.
        backends: of `BACKENDS`.
        points: names of operating points.
        batches: per batch size the batches to run.
        work: an empty folder for stages and batches.
        threads: how many each process may use.
        progress: told about exporting and about every process.

    Raises:
        UnknownNameError: if there is no such back end or point.
        InputError: if the bundle is not attached, or a process fails.
    """
    unknown = next((name for name in backends if name not in BACKENDS), None)
    if unknown is not None:
        raise UnknownNameError.among("back end for memory", unknown, BACKENDS)
    live = bundle.live.multi_exit
    names = [UNCUT, *dict.fromkeys(bundle.point(name).name for name in points)]
    stages, routing = work / "stages", None
    if any(name in RUNTIMES for name in backends):
        routing = export(bundle, stages, names[1:], progress)
    files = {size: _written(some, work, size) for size, some in batches.items()}
    samples = {size: sum(map(batch_size, some)) for size, some in batches.items()}
    cells = list(product(backends, batches, names))
    rows: list[MemoryRow] = []
    for backend, size, point in cells:
        if routing is None or backend == "eager":
            named = origin.model, origin.weights, origin.small
            request = Request(backend, point, str(origin.bundle), files[size], threads, *named)
            sizes: Sizes = size_of(live.backbone.model), size_of(*_heads(bundle, live, point))
        else:
            request = Request(backend, point, str(stages), files[size], threads)
            sizes = size_of_files(stages, routing, point), None
        rows.append(_row(size, sizes, request, samples[size]))
        progress("measuring memory", len(rows), len(cells))
    return rows


def batches_of(source: Source, size: int, samples: int) -> list[Inputs]:
    """Whole batches of the same random samples for each size; from the beginning again where there are too few."""
    order = np.random.default_rng(0).permutation(len(source))
    count = max(1, samples // size)
    return [source.inputs(np.sort(rows)) for rows in np.resize(order, (count, size))]


def _row(batch: int, sizes: Sizes, request: Request, samples: int) -> MemoryRow:
    """What a fresh process finds, beside the sizes of the model and its heads."""
    found = in_child(request)
    return MemoryRow(
        backend=request.backend,
        batch=batch,
        point=request.point,
        model_bytes=sizes[0],
        head_bytes=sizes[1],
        allocated_bytes_per_sample=None if found.allocated is None else found.allocated / samples,
        imported_rss_bytes=found.imported,
        loaded_rss_bytes=found.loaded,
        peak_rss_bytes=found.peak,
    )


def _heads(bundle: Bundle, live: MultiExit, point: str) -> list[nn.Module]:
    """The heads that an operating point asks."""
    enabled = () if point == UNCUT else bundle.point(point).configuration.enabled
    return [live.head(index) for index, on in enumerate(enabled) if on]


def _written(batches: Sequence[Inputs], work: Path, size: int) -> tuple[str, ...]:
    """The files of the batches."""
    return tuple(write_batch(work / f"batch{size}-{index}.npz", _arrays(one)) for index, one in enumerate(batches))


def _arrays(inputs: Inputs) -> Arrays:
    if isinstance(inputs, dict):
        return {name: array(tensor) for name, tensor in inputs.items()}
    return tuple(map(array, inputs)) if isinstance(inputs, tuple) else array(inputs)
