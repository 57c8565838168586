"""How long a search for heads takes, and what its subset costs against that of the recipe's own heads.

    python -m benchmarks.head_search benchmarks/head_search/config.json

Both have the same points, data, training and searcher (T/2^n and the best K(S)); they differ in their heads alone. All
is chosen on the choose part, and told of the report part. What is finished is kept in a folder.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import kept
from offramp import search
from offramp.decide.replay import operating_point
from offramp.deciding import prepared, table
from offramp.head_search import found_heads
from offramp.learning import attach, record_parts, record_training, train_heads
from offramp.load.models import load_model
from offramp.load.sources import open_source
from offramp.machine import machine
from offramp.model.backbone import Backbone
from offramp.model.points import analyse
from offramp.model.selection import select
from offramp.options import Options
from offramp.pipeline import example_of
from offramp.progress import silent
from offramp.reading import reader
from offramp.recipes import recipe
from offramp.sources import Source
from offramp.split import Shares
from offramp.tasks.classification import Classification
from offramp.types import ExitTable, Goal

RESULT = Path("docs/results/head_search.json")
VERSION = 1
TASK = Classification()
Config = Mapping[str, Any]
Heads = Mapping[str, tuple[str, ...]]


def main() -> None:
    """Measures all seeds, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--work", type=Path, default=Path("build/head_search"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    torch.set_num_threads(config["threads"])
    work = wishes.work
    rows = [kept(work / f"seed{seed}.json", partial(measured, config, seed, work)) for seed in config["seeds"]]
    result = {"version": VERSION, "machine": machine("optuna"), "config": config, "rows": rows}
    wishes.out.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(lines(result)))


def measured(config: Config, seed: int, work: Path) -> dict[str, Any]:
    """One seed: the time of the search, and both sets of heads at each tolerance."""
    loaded = load_model(config["backbone"], config["weights"])
    source = open_source(config["data"], loaded.preprocess)
    backbone = analyse(loaded.model, example_of(source), reader(TASK))
    options = Options(
        max_drop=config["max_drop"] / 100,
        recipe=replace(recipe(config["recipe"]), points=config["points"]),
        shares=Shares.parse(config["split"]),
        search_heads=config["trials"],
        seed=seed,
    )
    folder = work / f"seed{seed}"
    note = folder.with_suffix(".search.json")
    if not note.exists():
        shutil.rmtree(folder, ignore_errors=True)  # a search that was cut short would be timed too short
    searched = kept(note, partial(_searched, backbone, source, options, folder))
    heads = {row["point"]: (row["best"]["head"],) for row in searched["found"] if row["kept"]}
    return {
        "seed": seed,
        **searched,
        "searched": _arm(config, backbone, source, options, folder / "searched", heads),
        "own": _arm(config, backbone, source, options, folder / "own", None),
    }


def _searched(backbone: Backbone, source: Source, options: Options, folder: Path) -> dict[str, Any]:
    """What is found, and the seconds by the clock and of the processor, the backbone's pass included."""
    points = select(backbone.points, None, options.chosen().points)
    parts = options.shares.divide(len(source), options.seed)
    clock, processor = time.perf_counter(), time.process_time()
    found = found_heads(backbone, TASK, source, points, None, parts, options, folder)
    return {
        "search_seconds": time.perf_counter() - clock,
        "search_processor_seconds": time.process_time() - processor,
        "trials": sum(one.trials for one in found),
        "found": [asdict(one) for one in found],
    }


def _arm(
    config: Config, backbone: Backbone, source: Source, options: Options, folder: Path, heads: Heads | None
) -> list[dict[str, Any]]:
    """Heads trained in full, and what the subset of each tolerance costs and gets wrong on the report part."""
    chosen = options.chosen()
    parts = options.shares.divide(len(source), options.seed)
    points = select(backbone.points, None, chosen.points)
    model = attach(backbone, points, options, reader(TASK), heads)
    lessons = record_training(model, TASK, source, (), parts, options, folder)
    caches = record_parts(model, TASK, source, parts, options, folder)
    train_heads(model, lessons, chosen, None, parts, options, folder, silent)
    recordings = {part: model.record(cache) for part, cache in caches.items()}
    calibrators, gate = prepared(chosen, recordings["choose"], TASK, None)
    tables = {part: table(made, TASK, gate, calibrators, model.macs(gate)) for part, made in recordings.items()}
    return [_at(tables, chosen.searcher, tolerance) for tolerance in config["tolerances"]]


def _at(tables: Mapping[str, ExitTable], searcher: str, tolerance: float) -> dict[str, Any]:
    subset = search.NAMES[searcher]().search(tables["choose"], Goal(tolerance / 100))[-1]
    point = operating_point(tables["report"], subset, "")
    return {"tolerance": tolerance, "cost": point.cost, "disagreement": 100 * point.loss, "exits": sum(subset.enabled)}


def cost_at(rows: list[dict[str, Any]], disagreement: float) -> float:
    """The cost at a disagreement in % on the report part: between neighbouring subsets in a straight line.

    The plain backbone, which costs 1 and never disagrees, is among them.

    >>> round(cost_at([{"cost": 0.6, "disagreement": 2.0}, {"cost": 0.5, "disagreement": 4.0}], 1.0), 3)
    0.8
    """
    known = sorted([(0.0, 1.0), *((row["disagreement"], row["cost"]) for row in rows)])
    at, costs = zip(*known, strict=True)
    return float(np.interp(disagreement, at, costs))


def lines(result: Mapping[str, Any]) -> list[str]:
    """The table of docs/how-to/head_search.md."""
    levels = result["config"]["disagreements"]
    head = [
        "seed",
        "search, s",
        "processor, s",
        "heads tried",
        *(f"MACs at {level} % disagreement" for level in levels),
    ]
    made = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in result["rows"]:
        pairs = [(cost_at(row["own"], level), cost_at(row["searched"], level)) for level in levels]
        cells = [str(row["seed"]), f"{row['search_seconds']:.0f}", f"{row['search_processor_seconds']:.0f}"]
        cells += [str(row["trials"]), *(f"{100 * own:.1f} % → {100 * found:.1f} %" for own, found in pairs)]
        made.append(f"| {' | '.join(cells)} |")
    return made


if __name__ == "__main__":
    main()
