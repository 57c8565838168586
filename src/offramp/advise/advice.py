"""The table at equal accuracy on this machine, and what it says: pays, something else pays more, or don't."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offramp.advise.contender import CASCADE, EXITS, INT8, INT8_EXITS, PLAIN, Contender, Figures, Way
from offramp.advise.equal import MACS, Equal, cost_at, read_off
from offramp.advise.race import Race, Taken, Track, race
from offramp.advise.verdict import DONT, Verdict, after
from offramp.benching import Timing
from offramp.machine import threads_set
from offramp.progress import Progress, silent
from offramp.sources import Source

DROPS = (0.5, 1.0, 2.0)
"""Points of quality lost at which the cost of a family is read off."""


@dataclass(frozen=True)
class Row:
    """A way to run an alternative.

    Attributes:
        name: of the alternative.
        kind: of it; see `contender`.
        way: an operating point, `chosen`, or nothing.
        figures: on the report part.
        certified: share of disagreement that is proved; None where nothing is.
        taken: times by batch size; empty where it was not timed.
        bytes: of weights, heads included.
    """

    name: str
    kind: str
    way: str
    figures: Figures
    certified: float | None
    taken: Mapping[int, Taken]
    bytes: int


@dataclass(frozen=True)
class Family:
    """An alternative as a whole.

    Attributes:
        name: of it.
        kind: of it.
        read_off: by points of quality lost against the plain model, the least cost in MACs that loses no more on the
            report part itself; None where nothing does. The family was fixed before, the point on it was not, so this
            is a little optimistic.
        curve: quality and cost of each member.
    """

    name: str
    kind: str
    read_off: Mapping[float, float | None]
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Advice:
    """All that was found.

    Attributes:
        samples: of the report part.
        part: what they are, in words.
        accuracy: of the plain model; None without labels.
        macs: of the plain model.
        rows: every way of every alternative.
        families: every alternative that is no single way, and the others.
        equal: at the quality of each point of the exits.
        race: the times; None where nothing was timed.
        verdict: what it says; None where there are no exits to judge.
    """

    samples: int
    part: str
    accuracy: float | None
    macs: float
    rows: tuple[Row, ...]
    families: tuple[Family, ...]
    equal: tuple[Equal, ...]
    race: Race | None
    verdict: Verdict | None

    @property
    def quality(self) -> str:
        """What alternatives are compared at."""
        return "agreement" if self.accuracy is None else "accuracy"


def advice(
    contenders: Sequence[Contender],
    part: str,
    source: Source,
    timing: Timing | None,
    progress: Progress = silent,
) -> Advice:
    """What the alternatives do beside each other.

    Args:
        contenders: the plain model first.
        part: what the samples of the report are, in words.
        source: these samples, on which time is measured.
        timing: how; None: it is not measured.
        progress: told how far it is.
    """
    whole, times = contenders[0], None
    macs = whole.live.multi_exit.backbone.macs
    if timing is not None:
        with tempfile.TemporaryDirectory(prefix="offramp-") as folder, threads_set(timing.threads):
            sizes, threads, rounds = timing.batch_sizes, timing.threads, timing.rounds
            track = Track(source, sizes, timing.backends, threads, rounds, Path(folder), progress)
            times = race(track, contenders)
    rows = tuple(_row(one, way, macs, times) for one in contenders for way in one.ways)
    families = tuple(_family(one, macs) for one in contenders)
    equal = equals(rows, families, () if timing is None else tuple(timing.batch_sizes))
    plain = whole.figures(whole.ways[0].configuration, macs)
    judged = after(equal, {one.name: one.kind for one in contenders}) if equal else None
    if judged is None and any(one.kind == EXITS for one in contenders):
        judged = Verdict(DONT, ("no operating point leaves early: nothing that does was chosen or certified",))
    return Advice(whole.report.table.samples, part, plain.accuracy, macs, rows, families, equal, times, judged)


def _row(contender: Contender, way: Way, macs: float, times: Race | None) -> Row:
    taken = {} if times is None else times.taken.get((contender.name, way.name), {})
    bound = None if way.bound is None else way.bound.epsilon
    figures = contender.figures(way.configuration, macs)
    return Row(contender.name, contender.kind, way.name, figures, bound, taken, contender.size)


def _family(contender: Contender, macs: float) -> Family:
    members = contender.family(macs)
    curve = tuple((one.quality, one.cost) for one in members)
    base = contender.plain_quality
    off = {drop: read_off(curve, base - drop / 100.0) for drop in DROPS}
    return Family(contender.name, contender.kind, off, curve)


def equals(rows: Sequence[Row], families: Sequence[Family], sizes: Sequence[int]) -> tuple[Equal, ...]:
    """Each point of the exits, and what everything else costs at its quality.

    In MACs an alternative is its whole family. In time it is the ways that were timed, and the model that they end with
    where nobody leaves: the plain one, or that in eight bits.
    """
    found = []
    for row in (one for one in rows if one.kind == EXITS):
        quality, names = row.figures.quality, [f for f in families if f.kind not in (PLAIN, EXITS)]
        others = {family.name: cost_at(family.curve, quality) for family in names}
        found.append(Equal(row.way, quality, MACS, row.figures.cost, others))
        for size in sizes:
            if size not in row.taken:
                continue
            others = {family.name: cost_at(_timed(family, rows, size), quality) for family in names}
            found.append(Equal(row.way, quality, f"time at batch {size}", row.taken[size].ratio, others))
    return tuple(found)


ENDS = {CASCADE: PLAIN, INT8_EXITS: INT8}
"""Which kind a family ends with where nobody leaves."""


def _timed(family: Family, rows: Sequence[Row], size: int) -> list[tuple[float, float]]:
    mine = [row for row in rows if row.name == family.name and size in row.taken]
    ends = [row for row in rows if mine and row.kind == ENDS.get(family.kind) and size in row.taken]
    return [(row.figures.quality, row.taken[size].ratio) for row in (*mine, *ends)]
