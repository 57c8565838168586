"""Whether a bundle keeps what is asked of it: accuracy or agreement, speed, and its certificate."""

import tempfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from offramp.backends import check_backends, executors
from offramp.benching import drawn, precision
from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.evaluation import evaluate
from offramp.looking import unseen
from offramp.machine import threads_set
from offramp.progress import Progress, silent
from offramp.sources import Source
from offramp.speed import Backend, grid

ROUNDS = 15
"""Rounds over which times are taken; a third of them is not counted."""


@dataclass(frozen=True)
class Condition:
    """One thing that was asked.

    Attributes:
        name: what it is about.
        unit: of the numbers, in words.
        at_most: whether the limit is an upper one.
        limit: what was asked for.
        found: what was measured, or proved; None where nothing is proved.
        noise: standard error of what was measured; None where it was not measured.
    """

    name: str
    unit: str
    at_most: bool
    limit: float
    found: float | None
    noise: float | None = None

    @property
    def holds(self) -> bool:
        """Whether what was found is within the limit."""
        if self.found is None:
            return False
        return self.found <= self.limit + 1e-9 if self.at_most else self.found >= self.limit - 1e-9

    @property
    def failure(self) -> str:
        """In words, by how much it fails.

        >>> Condition("drop of accuracy", "points", True, 0.5, 0.93).failure
        'drop of accuracy: 0.93 points, 0.43 more than 0.5'
        >>> Condition("certified disagreement", "%", True, 0.5, None).failure
        'certified disagreement: nothing is certified'
        """
        if self.found is None:
            return f"{self.name}: nothing is certified"
        apart = abs(self.found - self.limit)
        word = "more" if self.at_most else "less"
        return f"{self.name}: {self.found:.3g} {self.unit}, {apart:.2g} {word} than {self.limit:g}"


SEEN = 300.0
"""Samples times per cent above which what happens is seen with a probability of 0.95 (rule of three)."""


@dataclass(frozen=True)
class Asked:
    """What is asked of an operating point.

    Attributes:
        point: its name, or an alias.
        max_drop: points of accuracy that may be lost against the plain model, or per cent of the samples that may be
            answered otherwise where there are no labels; None: as it comes.
        min_speedup: time of the plain model over the time with exits, at least; None: time is not measured.
        certified: whether the certificate of the bundle must promise `max_drop`, too.
        backend: on which time is measured.
        batch_size: at which it is.
        threads: of the back end.
        rounds: over which medians are taken.
        labels: True: labels must be there; False: they are not read; None: they are used where they are.

    Raises:
        InputError: if nothing is asked, or a limit makes no sense.
    """

    point: str = "balanced"
    max_drop: float | None = None
    min_speedup: float | None = None
    certified: bool = False
    backend: str = "eager"
    batch_size: int = 1
    threads: int = 1
    rounds: int = ROUNDS
    labels: bool | None = None

    def __post_init__(self) -> None:
        if self.max_drop is None and self.min_speedup is None:
            raise InputError("expected something to validate; give --max-drop 0.5 (points), --min-speedup 1.2 or both")
        if self.max_drop is not None and not 0.0 <= self.max_drop <= 100.0:
            raise InputError(f"expected --max-drop in percentage points, from 0 to 100, got {self.max_drop:g}")
        if self.min_speedup is not None and not 0.0 < self.min_speedup < float("inf"):
            raise InputError(f"expected --min-speedup above 0, such as 1.2, got {self.min_speedup:g}")
        if self.certified and self.max_drop is None:
            raise InputError("expected --max-drop with --certified, to hold the certificate against; give it")


@dataclass(frozen=True)
class Validation:
    """What was asked of an operating point, and what it does.

    Attributes:
        point: its name.
        samples: on which it was measured; 0 where only the certificate was read.
        part: which part of the data they are; see `evaluation.Evaluation`.
        conditions: all that was asked.
    """

    point: str
    samples: int
    part: str
    conditions: tuple[Condition, ...]

    @property
    def doubt(self) -> str | None:
        """Why the risk that was measured says little; None: it does not.

        A risk of 3/n or less shows on none of n samples with a probability of 0.05 or more (rule of three).
        """
        limit = max((one.limit for one in self.conditions if one.at_most and one.noise is not None), default=None)
        if limit is None or self.samples * limit >= SEEN:
            return None
        least = f"; give at least {ceil(SEEN / limit):,}" if limit > 0 else ""
        unseen = f"a risk of {SEEN / self.samples:.2g} % may show on none of them"
        return f"{self.samples} samples say little about {limit:g} %: {unseen}{least}"

    @property
    def holds(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions)


def validate(bundle: Bundle, source: Source | None, asked: Asked, progress: Progress = silent) -> Validation:
    """Holds an operating point against what is asked of it.

    On the data of the build only the report part is used, as `evaluate` does.

    Args:
        bundle: attached to its backbone where there is data.
        source: on which it is measured; None: nothing but the certificate is looked at.
        asked: the conditions.
        progress: told how far it is.

    Raises:
        InputError: if something must be measured and there is no data, or the bundle is not attached.
        UnknownNameError: if there is no such point or back end.
    """
    point = bundle.point(asked.point)
    check_backends([asked.backend])
    conditions = []
    if asked.certified or (source is None and asked.max_drop is not None):
        conditions.append(_certificate(bundle, asked))
    if source is None:
        if asked.min_speedup is not None:
            raise InputError("expected --data to measure time on; give it, or leave --min-speedup out")
        return Validation(point.name, 0, "none", tuple(conditions))
    used = unseen(bundle, source)
    if asked.max_drop is not None:
        conditions.append(_drop(bundle, source, asked, progress))
    if asked.min_speedup is not None:
        conditions.append(_speedup(bundle, used, asked, progress))
    return Validation(point.name, len(used), "all" if used is source else "report", tuple(conditions))


def _certificate(bundle: Bundle, asked: Asked) -> Condition:
    bound = bundle.point(asked.point).bound
    name = f"certified {bundle.manifest.risk if bound is None else bound.risk}"
    return Condition(name, "%", True, asked.max_drop or 0.0, None if bound is None else 100.0 * bound.epsilon)


def _drop(bundle: Bundle, source: Source, asked: Asked, progress: Progress) -> Condition:
    found = evaluate(bundle, source, points=[asked.point], labels=asked.labels, batch_sizes=(), progress=progress)
    point, limit = found.points[0], asked.max_drop or 0.0
    changed = 1.0 - point.agreement
    if point.accuracy_drop is None:
        noise = 100.0 * (changed * (1.0 - changed) / found.samples) ** 0.5
        return Condition("disagreement", "%", True, limit, 100.0 * changed, noise)
    return Condition("drop of accuracy", "points", True, limit, point.accuracy_drop, point.drop_noise or 0.0)


def _speedup(bundle: Bundle, source: Source, asked: Asked, progress: Progress) -> Condition:
    live, point = bundle.live, bundle.point(asked.point)
    name = f"speed-up on {asked.backend} at batch {asked.batch_size}"
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder, threads_set(asked.threads):
        make = executors(live, [asked.backend], Path(folder), asked.threads)[asked.backend]
        rows = grid(
            [Backend(asked.backend, precision(live, asked.backend), make)],
            {point.name: point.configuration},
            live.multi_exit.point_of,
            live.multi_exit.macs(live.gate),
            {asked.batch_size: drawn(source, asked.batch_size, asked.rounds)},
            asked.threads,
            progress=progress,
            rule=live.gate.rule,
        )
    row = next(row for row in rows if row.point == point.name)
    return Condition(
        name, "times", False, asked.min_speedup or 0.0, 1.0 / row.ratio_to_uncut, row.noise / row.ratio_to_uncut**2
    )
