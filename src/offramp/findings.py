"""All that a report shows of a bundle on a source: what it answers, where it leaves, what it costs, and samples."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.benching import USUAL, Timing, bench
from offramp.bundle import Bundle
from offramp.decide.hits import HitCurve, hit_curves
from offramp.evaluation import Evaluated, Evaluation, summed_up
from offramp.examples import Example, Examples, examples
from offramp.load.combine import subset
from offramp.load.raw import raw
from offramp.looking import Look
from offramp.machine import machine
from offramp.memory import MemoryRow, Origin, batches_of
from offramp.memory import grid as memory_grid
from offramp.progress import Progress, silent
from offramp.sources import Source
from offramp.speed import SpeedRow
from offramp.types import BACKBONE, OperatingPoint


@dataclass(frozen=True)
class Remembering:
    """What memory is measured of; see `memory.grid`.

    Attributes:
        origin: where fresh processes load the bundle from.
        batch_size: samples at a time.
        samples: how many are run.
    """

    origin: Origin
    batch_size: int = 32
    samples: int = 128


@dataclass(frozen=True, eq=False)
class Findings:
    """A bundle on a source.

    Attributes:
        bundle: attached.
        source: name of the data.
        evaluation: all operating points.
        chosen: the operating point that is shown closely.
        curves: what each exit but the last would do alone at each threshold.
        examples: samples of the chosen point.
        items: by row of an example, the sample as people know it.
        macs: MACs of the backbone up to each exit, the last included, and of the heads there.
        speed: measured times; none: nothing was timed.
        memory: measured memory; none: nothing was measured.
        machine: what it was measured on.
    """

    bundle: Bundle
    source: str
    evaluation: Evaluation
    chosen: OperatingPoint
    curves: tuple[HitCurve, ...]
    examples: Examples
    items: Mapping[int, Any]
    macs: tuple[tuple[float, ...], tuple[float, ...]]
    speed: tuple[SpeedRow, ...]
    memory: tuple[MemoryRow, ...]
    machine: Mapping[str, Any]

    @property
    def exits(self) -> tuple[str, ...]:
        """Names of the exits by depth, the backbone last; where several share a point, with their heads."""
        inner = self.bundle.manifest.exits
        shared = {point for point, times in Counter(exit_.point for exit_ in inner).items() if times > 1}
        names = (f"{exit_.point}/{exit_.head}" if exit_.point in shared else exit_.point for exit_ in inner)
        return (*names, BACKBONE)

    @property
    def shown(self) -> Evaluated:
        """The evaluation of the chosen point."""
        return next(point for point in self.evaluation.points if point.name == self.chosen.name)


def find(
    bundle: Bundle,
    source: Source,
    *,
    point: str = "balanced",
    labels: bool | None = None,
    part: str | None = None,
    count: int = 4,
    timing: Timing | None = USUAL,
    remembering: Remembering | None = None,
    progress: Progress = silent,
) -> Findings:
    """Findings of a bundle on a source.

    Args:
        bundle: attached to its backbone.
        source: the data.
        point: the operating point that is shown closely, with samples.
        labels: True: labels must be there; False: they are not read; None: they are used where they are.
        part: as of `evaluation.evaluate`.
        count: samples of each kind and exit.
        timing: what is timed; None: nothing.
        remembering: what memory is measured of; None: of nothing.
        progress: told how far the work is.

    Raises:
        UnknownNameError: if there is no such operating point or back end.
        DataError: if the model does not take the samples.
    """
    chosen = bundle.point(point)
    look = Look.at(bundle, source, labels, progress)
    part = look.part(part)
    indices = look.indices(part)
    said, here = look.said(indices), subset(source, indices)
    found = examples(said, chosen.configuration, count)
    names = list(dict.fromkeys([chosen.name, *(bundle.point(name).name for name in ("balanced", "fast", "fastest"))]))
    cost = said.table.cost
    return Findings(
        bundle=bundle,
        source=source.name,
        evaluation=summed_up(said, bundle.points, part, look.live.backbone.macs),
        chosen=chosen,
        curves=hit_curves(said.table, said.error, said.plain_error),
        examples=found,
        items={one.row: raw(here, one.row) for one in _all(found)},
        macs=(tuple(cost.upto.tolist()), tuple((cost.head + cost.gate).tolist())),
        speed=() if timing is None else _timed(bundle, here, timing, names, progress),
        memory=() if remembering is None else _remembered(bundle, here, remembering, names, progress),
        machine=machine("onnxruntime", "openvino"),
    )


def _all(found: Examples) -> list[Example]:
    return [one for some in (*found.easy, *found.hard, found.wrong) for one in some]


def _timed(
    bundle: Bundle, source: Source, timing: Timing, points: Sequence[str], progress: Progress
) -> tuple[SpeedRow, ...]:
    fitting = [size for size in timing.batch_sizes if size <= len(source)] or [1]
    return tuple(bench(bundle, source, timing.backends, fitting, points, timing.threads, timing.rounds, progress))


def _remembered(
    bundle: Bundle, source: Source, wish: Remembering, points: Sequence[str], progress: Progress
) -> tuple[MemoryRow, ...]:
    size = min(wish.batch_size, len(source))
    batches = {size: batches_of(source, size, wish.samples)}
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        return tuple(memory_grid(bundle, wish.origin, ["eager"], points, batches, Path(folder), 1, progress))
