"""Recipes side by side: one backbone, one split, and thresholds that were never chosen where they are reported.

The backbone runs once over the data for all recipes that want the same augmented copies, and heads that several recipes
train in the same way are trained once.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from offramp.confidence import Said
from offramp.decide.replay import oracle_cost
from offramp.deciding import prepared, table
from offramp.head_search import found_heads, heads_at
from offramp.heads.network import Answers
from offramp.learning import (
    attach,
    check_labels,
    record_networks,
    record_parts,
    record_training,
    train_backbone,
    train_heads,
)
from offramp.method_bench import Bench
from offramp.method_figures import (
    BUDGETS,
    DROPS,
    MethodRow,
    Tables,
    as_run,
    at_exits,
    best_of,
    best_within,
    certified_point,
    cheapest_within,
    paths,
    read_off,
    sets_of,
)
from offramp.model.augment import Augment
from offramp.model.cache import FeatureCache
from offramp.model.multi_exit import MultiExit
from offramp.model.selection import select
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.recipe import Recipe
from offramp.sources import Labels
from offramp.split import Parts
from offramp.students import teach_students
from offramp.tasks.classification import Classification
from offramp.train.ensemble import fit_ensembles
from offramp.train.student import Lesson


def compare(
    bench: Bench,
    names: Sequence[str],
    seed: int,
    done: Callable[[MethodRow], None],
    progress: Progress = silent,
) -> None:
    """Some recipes with one seed; those that want the same augmented copies share the backbone's passes.

    Args:
        bench: what all share.
        names: of recipes.
        seed: of everything.
        done: called with each row as soon as it is there.
        progress: told how far the work is.
    """
    groups: dict[Any, list[str]] = {}
    for name in dict.fromkeys((*bench.config.recipes, *names)):  # all, so that the passes are the same when it goes on
        chosen = bench.config.chosen(name)
        groups.setdefault((_copies(bench, chosen), chosen.schedule.held, chosen.trunk is None), []).append(name)
    finished = 0
    for group in groups.values():
        missing = [name for name in group if name in names]
        if not missing:
            continue
        shared = _Shared.of(bench, group, seed, progress)
        for name in missing:
            done(_row(shared, name, progress))
            finished += 1
            progress(f"recipes with seed {seed}", finished, len(names))


def _copies(bench: Bench, chosen: Recipe) -> Augment | None:
    """The augmentation, where the inputs can be augmented."""
    return chosen.augment if chosen.augment.fits(bench.backbone.example) else None


@dataclass(frozen=True, eq=False)
class _Shared:
    """The backbone's passes over the parts, with the features that any recipe of a group reads.

    None of a group whose recipes train the backbone: each has passes of its own.
    """

    bench: Bench
    seed: int
    options: Options
    parts: Parts
    labels: Labels
    lessons: list[Lesson]
    caches: Mapping[str, FeatureCache]
    folder: Path

    @classmethod
    def of(cls, bench: Bench, names: Sequence[str], seed: int, progress: Progress) -> "_Shared":
        task, parts = Classification(), bench.parts(seed)
        chosen = [bench.config.chosen(name) for name in names]
        if chosen[0].trunk is not None:
            options = Options(seed=seed, shares=bench.config.split)
            return cls(bench, seed, options, parts, bench.source.labels(), [], {}, bench.work / f"seed{seed}-trained")
        first = replace(chosen[0], students=())
        options = Options(recipe=first, seed=seed, shares=bench.config.split)
        everything = _together([_attached(bench, one, seed, progress) for one in chosen])
        asked = (first.augment, first.schedule.held, sorted(everything.keys()))
        told = hashlib.sha256(repr(asked).encode()).hexdigest()
        folder = bench.work / f"seed{seed}-{told[:8]}"
        extra = () if all(one.labels for one in chosen) else bench.extra  # who reads labels sees no others
        lessons = record_training(everything, task, bench.source, extra, parts, options, folder, progress)
        caches = _recorded(bench, everything, parts, options, folder, progress)
        return cls(bench, seed, options, parts, bench.source.labels(), lessons, caches, folder)


def _attached(bench: Bench, chosen: Recipe, seed: int, progress: Progress) -> MultiExit:
    points, task = select(bench.backbone.points, None, chosen.points), Classification()
    options, parts = Options(recipe=chosen, seed=seed), bench.parts(seed)
    small = bench.small if chosen.needs_small else None
    labels, work = bench.source.labels() if chosen.labels else None, bench.work / f"seed{seed}-heads"
    found = found_heads(bench.backbone, task, bench.source, points, labels, parts, options, work, progress)
    return attach(bench.backbone, points, options, reader(task), heads_at(found), small)


def _together(models: Sequence[MultiExit]) -> MultiExit:
    """One model with the exits of all, of which only what they look at matters."""
    backbone = models[0].backbone
    pairs = {
        (exit_, model.head(index).reduction.name): model.head(index)
        for model in models
        for index, exit_ in enumerate(model.exits)
        if not isinstance(model.head(index).reduction, Answers)
    }
    ordered = sorted(pairs.items(), key=lambda one: backbone.point(one[0][0].point).index)
    return MultiExit(backbone, tuple(exit_ for (exit_, _), _ in ordered), nn.ModuleList(head for _, head in ordered))


def _recorded(
    bench: Bench, model: MultiExit, parts: Parts, options: Options, folder: Path, progress: Progress
) -> dict[str, FeatureCache]:
    """The three parts; where the report has data of its own, those instead of the part."""
    task = Classification()
    caches = record_parts(model, task, bench.source, parts, options, folder, progress)
    if bench.report is not None:
        everyone = {"report": np.arange(len(bench.report))}
        caches |= record_parts(model, task, bench.report, everyone, options, folder / "other", progress)
    return caches


def _with_networks(
    shared: _Shared, model: MultiExit, options: Options, name: str, progress: Progress
) -> dict[str, FeatureCache]:
    bench, task, folder = shared.bench, Classification(), shared.folder / name
    own = {part: cache for part, cache in shared.caches.items() if bench.report is None or part != "report"}
    found = record_networks(model, task, bench.source, shared.parts, options, folder, own, progress)
    if bench.report is not None:
        everyone, cache = {"report": np.arange(len(bench.report))}, {"report": shared.caches["report"]}
        found |= record_networks(model, task, bench.report, everyone, options, folder / "other", cache, progress)
    return found


def _row(shared: _Shared, name: str, progress: Progress) -> MethodRow:
    start = time.perf_counter()
    bench, chosen, task = shared.bench, shared.bench.config.chosen(name), Classification()
    model = _attached(bench, chosen, shared.seed, progress)
    options = replace(shared.options, recipe=chosen, labels=chosen.labels)
    labels = shared.labels if chosen.labels else None
    lessons = shared.lessons[:1] if chosen.labels else shared.lessons
    check_labels(labels, chosen, bench.extra if not chosen.labels else ())
    if chosen.trunk is not None:
        folder = shared.folder / name
        model, _ = train_backbone(model, task, bench.source, labels, shared.parts, options, folder, progress)
        shared = replace(shared, caches=_recorded(bench, model, shared.parts, options, folder, progress))
    before, kept = time.perf_counter(), bench.work / "heads"
    taught = train_heads(model, lessons, chosen, labels, shared.parts, options, kept, progress)
    start += time.perf_counter() - before - taught.seconds
    teach_students(model, task, lessons, options, kept, progress)
    caches = _with_networks(shared, model, options, name, progress)
    searched = shared.labels[shared.parts["choose"]] if chosen.labels else None
    fit_ensembles(model, caches["choose"], task, searched)
    recordings = {part: model.record(cache) for part, cache in caches.items()}
    known = {part: shared.labels[indices] for part, indices in shared.parts.items()}
    if bench.report is not None:
        known["report"] = bench.report.labels()
    calibrators, scorer = prepared(chosen, recordings["choose"], task, searched, taught.gate)
    cost = model.macs(scorer)
    said = {
        part: Said.of(recordings[part], task, scorer, calibrators, cost, known[part]) for part in ("certify", "report")
    }
    tables = Tables(
        choose=table(recordings["choose"], task, scorer, calibrators, cost, searched),
        certify=said["certify"].table,
        report=said["report"],
        certifying=said["certify"],
    )
    return _figures(shared, name, chosen, model, tables, start)


def _figures(shared: _Shared, name: str, chosen: Recipe, model: MultiExit, tables: Tables, start: float) -> MethodRow:
    found, variant = paths(tables.choose, chosen.searcher), shared.bench.config.variants.get(name)
    seconds = time.perf_counter() - start
    everything = [one for path in found.values() for one in path]
    picked = {f"{drop:g}": cheapest_within(tables.choose, everything, drop) for drop in DROPS}
    within = {f"{budget:g}": best_within(tables.choose, everything, budget) for budget in BUDGETS}
    within["max"] = best_within(tables.choose, everything, float("inf"))
    proved = certified_point(tables, found[DROPS[1]])
    on_report = {drop: tables.on_report(one) for drop, one in picked.items()}
    assert tables.report.plain_error is not None
    return MethodRow(
        recipe=name,
        variant_of=name if variant is None else variant.recipe,
        differs={} if variant is None else variant.differs,
        backbone=shared.bench.config.backbone,
        data=shared.bench.config.data,
        seed=shared.seed,
        labels=chosen.labels,
        accuracy=100.0 * float(1.0 - tables.report.plain_error.mean()),
        cost_at_drop={drop: one.cost for drop, one in on_report.items()},
        chosen=on_report,
        asked={f"{drop:g}": tables.on_report(found[drop][-1]) for drop in DROPS},
        read_off=read_off(tables, everything),
        accuracy_at_cost={b: tables.on_report(one).accuracy for b, one in within.items() if one is not None},
        certified=None if proved is None else tables.on_report(proved),
        oracle_cost=oracle_cost(tables.report.table),
        ece=as_run(tables.report, picked["1"]),
        conformal=sets_of(tables, picked["1"]),
        exits=at_exits(tables.report, [exit_.name for exit_ in model.exits], picked["1"]),
        head_parameters=sum(parameter.numel() for parameter in model.heads.parameters()),
        seconds=seconds,
        front=[(one.cost, one.accuracy) for one in map(tables.on_report, best_of(tables.choose, everything))],
    )
