"""What exits would save, before any is built: ridge probes for heads, the build's own search, measured stage times."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import Float

from offramp.advise.expected import (
    LEVELS,
    Expected,
    Half,
    certifiable,
    chosen,
    expected,
    fall,
    followed,
    oracle,
    passing,
)
from offramp.advise.stage_times import stage_times
from offramp.advise.verdict import Verdict, before
from offramp.analyze.ridge import FOLDS, left_out
from offramp.deciding import prepared, table
from offramp.errors import DataError, InputError
from offramp.gates import gate
from offramp.learning import attach
from offramp.load.combine import subset
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.selection import select
from offramp.model.views import Views
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.recipe import Recipe
from offramp.recipes import recipe
from offramp.sources import Source
from offramp.tasks.task import Task
from offramp.types import Configuration, CostProfile

LEAST = 200
"""With fewer samples nothing is forecast: a hundredth of half of them is one. Smaller goals need more."""

SAMPLES = 4000
"""Looked at where nobody says how many."""

COPIES = 4
"""Augmented copies of each picture, from which a probe learns as heads do."""

SEEN = (1, FOLDS - 1)
"""Folds that probes are fitted on; what more of them save is followed on to as many samples as heads learn from."""

ROUNDS = 9
"""Batches on which stages are timed."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a build is expected to reach with heads on the frozen model.

    Attributes:
        samples: on which probes were fitted and read, each by probes that had not seen it.
        max_drop: the disagreement that was asked for.
        points: names of the places where heads were imagined, by depth.
        depth: share of the MACs spent before each.
        agreement: share of samples on which each probe gives the plain model's answer.
        chosen: the point that disagrees as often as allowed where it is chosen, with heads that learn from all of the
            training part.
        certified: the point that the build's certify part is expected to certify; None where it has too few samples.
        read: the one of the two that counts, as probes do it that were fitted on three quarters of the samples.
        train: samples of the training part.
        certify: samples of that part.
        rate: disagreement that this part may show and still certify; None: not even none.
        oracle: cost share if each sample left at the first place whose probe is right.
        backend: on which stages were timed.
        verdict: whether to build, and why.
    """

    samples: int
    max_drop: float
    points: tuple[str, ...]
    depth: tuple[float, ...]
    agreement: tuple[float, ...]
    chosen: Expected
    certified: Expected | None
    read: Expected
    train: int
    certify: int
    rate: float | None
    oracle: float
    backend: str
    verdict: Verdict

    @property
    def expected(self) -> Expected:
        """The point that a bundle's `balanced` is held against."""
        return self.chosen if self.certified is None else self.certified


def forecast(
    backbone: Backbone,
    task: Task,
    source: Source,
    options: Options,
    *,
    samples: int = SAMPLES,
    batch_sizes: Sequence[int] = (1, 32),
    backend: str = "eager",
    threads: int = 1,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> Forecast:
    """What a build with these options is expected to save; nothing is trained.

    At the places where the build puts heads a ridge probe is fitted to the backbone's log-probabilities on what a head
    would see, and asked for samples it has not seen. With their calibrated scores the same search chooses exits and
    a threshold on one half of the samples, which are read off on the other, and the other way round. That is done with
    probes fitted on a quarter and on three quarters of the samples; the share by which costs fall is followed on to as
    many samples as heads will learn from. Stages and heads (untrained ones take as long) are timed on the back end.
    Samples of the report part are not looked at.

    Args:
        backbone: analysed.
        task: whose answers are classes.
        source: unlabelled inputs; labels are not read.
        options: of the build that is imagined.
        samples: looked at, at most.
        batch_sizes: at which time is predicted; none: MACs alone.
        backend: on which stages are timed.
        threads: of the back end.
        rounds: batches on which they are timed.
        progress: told how far it is.

    Raises:
        InputError: if the task's answers are no classes, or a package is missing.
        DataError: if there are too few samples.
    """
    if not task.means.classes:
        raise InputError(
            f"expected a task whose answers are classes for a forecast, got {task.name}; build with "
            "--recipe heads-only and look at the bundle"
        )
    parts = options.shares.divide(len(source), options.seed)
    pool = np.sort(np.concatenate([parts["train"], parts["choose"], parts["certify"]]))
    least = max(LEAST, ceil(2 / options.max_drop))
    if min(len(pool), samples) < least:
        raise DataError(
            f"expected at least {least} samples for a forecast at {100 * options.max_drop:g} %, got "
            f"{min(len(pool), samples)}; give more data, a larger --samples or --max-drop, or build"
        )
    heads = replace(recipe("heads-only"), points=options.chosen().points or recipe("heads-only").points)
    wish = replace(options, recipe=heads, task=task.name, labels=False)
    multi_exit = attach(backbone, select(backbone.points, options.points, heads.points), wish, reader(task))
    rows = np.sort(np.random.default_rng(options.seed).permutation(pool)[:samples])
    recordings = probed(multi_exit, task, subset(source, rows), wish, progress)
    times = stage_times(multi_exit, task, subset(source, rows), batch_sizes, backend, threads, rounds, progress)
    counts = {part: len(indices) for part, indices in parts.items()}
    priced = _Priced(multi_exit.macs(gate(heads.gate)), times)
    return foreseen(recordings, task, priced, tuple(exit_.point for exit_ in multi_exit.exits), counts, wish, backend)


@dataclass(frozen=True, eq=False)
class _Priced:
    """What leaving at each exit costs: in MACs, and in seconds for each batch size."""

    macs: CostProfile
    times: Sequence[CostProfile]


def foreseen(
    recordings: Sequence[Recording],
    task: Task,
    priced: _Priced,
    points: tuple[str, ...],
    counts: Mapping[str, int],
    options: Options,
    backend: str,
) -> Forecast:
    """The forecast from what probes say; arithmetic alone.

    Args:
        recordings: of samples that the probes had not seen, for each number of folds in `SEEN`.
        task: compares answers.
        priced: what leaving at each exit costs.
        points: names of the exits' places.
        counts: samples of the build's parts.
        options: of the build, with the recipe of the heads.
        backend: on which times were measured.
    """
    rate = certifiable(counts["certify"], options.max_drop, options.delta, options.guarantee)
    few, full = (_read(one, task, priced, options, rate) for one in recordings)
    samples = recordings[0].outputs.shape[1]
    factor = float(np.log(counts["train"] * FOLDS / (samples * SEEN[1])) / np.log(SEEN[1] / SEEN[0]))
    by = fall(few.levels, full.levels)
    read = full.passing or full.chosen
    picked = followed(full.chosen, by, factor, full.oracle)
    proved = None if full.passing is None else followed(full.passing, by, factor, full.oracle)
    return Forecast(
        samples=samples,
        max_drop=options.max_drop,
        points=points,
        depth=tuple((priced.macs.upto[:-1] / priced.macs.backbone).tolist()),
        agreement=full.agreement,
        chosen=picked,
        certified=proved,
        read=read,
        train=counts["train"],
        certify=counts["certify"],
        rate=rate,
        oracle=full.oracle,
        backend=backend,
        verdict=before(picked, proved, read, options.max_drop, counts["certify"]),
    )


@dataclass(frozen=True)
class _Reading:
    """What is read off one recording."""

    chosen: Expected
    passing: Expected | None
    levels: tuple[float, ...]
    oracle: float
    agreement: tuple[float, ...]


def _read(recording: Recording, task: Task, priced: _Priced, options: Options, rate: float | None) -> _Reading:
    drop, searcher = options.max_drop, options.chosen().searcher
    halves = _both(recording, task, priced.macs, options)
    pairs = [(half, half.path(searcher, drop)) for half in halves]

    def mean(picked: Sequence[Configuration]) -> Expected:
        return expected(list(zip(halves, picked, strict=True)), priced.times, priced.macs)

    agreement = 1.0 - np.mean([half.read.loss[:-1].mean(axis=1) for half in halves], axis=0)
    return _Reading(
        mean([chosen(half, path, drop) for half, path in pairs]),
        None if rate is None else mean([passing(half, path, rate) for half, path in pairs]),
        tuple(mean([passing(half, path, level * drop) for half, path in pairs]).cost for level in LEVELS),
        oracle(halves),
        tuple(agreement.tolist()),
    )


def probed(multi_exit: MultiExit, task: Task, source: Source, options: Options, progress: Progress) -> list[Recording]:
    """What probes in the place of the heads say of all samples, none of which the probe that speaks has seen.

    One recording for each number of folds in `SEEN`.
    """
    model = multi_exit.backbone.model
    augment = options.chosen().augment
    copies = min(COPIES, augment.copies) if augment.fits(multi_exit.backbone.example) else 0
    lend = np.ones(len(source), bool)
    views = Views(source, replace(augment, copies=copies), lend, options.seed, options.batch_size)
    passes = Pass(model, reader(task), multi_exit.wanted(), model_fingerprint(model), dtype="float16")
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        cache = passes.over(views, Path(folder) / "probed", split="forecast", progress=progress)
        said = np.stack([_said(multi_exit, cache, exit_, progress) for exit_ in range(len(multi_exit.exits))], axis=1)
        final = np.array(cache.logits[: len(source)], np.float32)
    return [Recording(np.concatenate([one, final[None]]).astype(np.float32), "forecast") for one in said]


def _said(
    multi_exit: MultiExit, cache: FeatureCache, exit_: int, progress: Progress
) -> Float[np.ndarray, "sizes samples classes"]:
    features = np.asarray(cache.features[multi_exit.keys()[exit_]])
    found = left_out(features, cache.logits, cache.samples, exit_, SEEN)
    progress("fitting probes", exit_ + 1, len(multi_exit.exits))
    return found


def _both(recording: Recording, task: Task, macs: CostProfile, options: Options) -> list[Half]:
    """Both ways of dividing the samples into a half that calibrates and chooses, and one on which it is read."""
    samples, heads = recording.outputs.shape[1], options.chosen()
    order = np.random.default_rng(options.seed).permutation(samples)
    first, second = (
        Recording(recording.outputs[:, rows], name)
        for name, rows in (("one half", order[: samples // 2]), ("the other half", order[samples // 2 :]))
    )
    return [_half(choose, read, task, macs, heads) for choose, read in ((first, second), (second, first))]


def _half(choose: Recording, read: Recording, task: Task, macs: CostProfile, heads: Recipe) -> Half:
    calibrators, scorer = prepared(heads, choose, task, None)
    return Half(*(table(some, task, scorer, calibrators, macs) for some in (choose, read)))
