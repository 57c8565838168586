"""Builds, certifies and times early exits on tasks that are no classification.

    python -m benchmarks.other_tasks benchmarks/other_tasks/config.json [--case mass] [--no-timing]

Each case and seed is one build and one evaluation on the report part; what is done is kept in the work folder, so an
interrupted run goes on. The data is looked for in $OFFRAMP_DATA or ../shared/data. Times mean something only where
nothing else runs.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

import offramp
from benchmarks.kept import kept
from benchmarks.other_tasks import training
from benchmarks.other_tasks.page import tables
from offramp import deployed
from offramp.decide import guarantees
from offramp.evaluation import Evaluation
from offramp.exporting import export
from offramp.load.models import LoadedModel
from offramp.machine import machine
from offramp.run.timing import interleaved
from offramp.sources import Source

Config = dict[str, Any]


def opened(config: Config, case: str, root: Path, work: Path) -> tuple[LoadedModel, Source]:
    """The network of a case with its data; trained, or read where it was trained before."""
    wishes = config["cases"][case]
    name = wishes["model"]
    path = work / f"{name}.safetensors"
    if not path.exists():
        model = training.made(name, root / (wishes["weights"] or ""), root / config["train"], config["angle_epochs"])
        work.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), path)
    loaded = offramp.load_model(f"benchmarks/other_tasks/networks.py:{name}", path)
    return loaded, offramp.open_source(training.data(name, root / config["data"]), loaded.preprocess)


def _extra(config: Config, case: str, root: Path) -> list[Any]:
    """More pictures to train heads with; of digits there are no others."""
    name = config["cases"][case]["model"]
    if name == "angle":
        return []
    return [training.data(name, root / config["extra"], config["extra_samples"])[0]]


def _file(case: str) -> str:
    return case.replace(", ", "-").replace(" ", "-")


def built(config: Config, case: str, seed: int, root: Path, work: Path) -> dict[str, Any]:
    """Builds one seed without labels and evaluates it on its report part, with them."""
    loaded, source = opened(config, case, root, work)
    bundle = offramp.build(
        loaded,
        source,
        extra_data=_extra(config, case, root),
        out=work / f"{_file(case)}{seed}",
        task=config["cases"][case]["task"],
        overwrite=True,
        seed=seed,
        keep=config["points_kept"],
        timed=(),
        guarantee=config["cases"][case].get("guarantee", guarantees.DEFAULT),
        **{name: config[name] for name in ("recipe", "points", "max_drop", "delta")},
    )
    found = offramp.evaluate(bundle, source, labels=True, batch_sizes=())
    return {
        "seed": seed,
        "task": bundle.task.name,
        "samples": found.samples,
        "accuracy": found.accuracy,
        "measures": found.measures,
        "oracle_cost": found.oracle_cost,
        "levels": {str(level): _at(found, level) for level in config["levels"]},
        "front": [[p.cost_ratio, p.agreement, p.accuracy, p.measures] for p in found.points],
    }


def _at(found: Evaluation, level: float) -> dict[str, Any]:
    """The cheapest point certified at a level."""
    proved = [p for p in found.points if p.bound is not None and p.bound.epsilon <= level * (1 + 1e-9)]
    best = min(proved, key=lambda point: point.cost_ratio)
    return {
        "point": best.name,
        "cost": best.cost_ratio,
        "loss": 1.0 - best.agreement,
        "accuracy_drop": best.accuracy_drop,
        "measures": best.measures,
    }


def timed(config: Config, case: str, run: dict[str, Any], root: Path, work: Path) -> dict[str, Any]:
    """Time of the certified points as a share of the uncut model's, both in ONNX Runtime on one thread."""
    loaded, source = opened(config, case, root, work)
    bundle = offramp.Bundle.load(work / f"{_file(case)}{run['seed']}").attach(loaded.model)
    points = {level: one["point"] for level, one in run["levels"].items()}
    folder, rows = work / f"{_file(case)}{run['seed']}-stages", bundle.splits["report"]
    if not (folder / "routing.json").exists():
        export(bundle, folder, list(dict.fromkeys([*points.values(), "full"])))
    models = {level: deployed.load(folder, point, threads=1) for level, point in points.items()}
    models["full"] = deployed.load(folder, "full", threads=1)
    images = source.inputs(rows)
    assert isinstance(images, torch.Tensor)
    given, found = images.numpy(), {}
    for size in config["batch_sizes"]:
        generator, count = np.random.default_rng(size), config["samples_per_round"] // size
        rounds = [
            [given[generator.integers(0, len(given), size)] for _ in range(count)] for _ in range(config["rounds"])
        ]
        timing = interleaved(models, rounds)
        found[str(size)] = {level: [timing.ratio(level, "full"), timing.noise(level, "full")] for level in points}
    return found


def main() -> None:
    """Runs what is missing, writes the result, and prints it as tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--case", action="append", help="only this case; repeatable")
    parser.add_argument("--no-timing", action="store_true", help="build and evaluate only; measure time in a later run")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--work", type=Path, default=Path("build/other_tasks"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    result: dict[str, Any] = {"config": config, "machine": machine("onnxruntime"), "cases": {}}
    for case in wishes.case or config["cases"]:
        runs = []
        for seed in config["seeds"]:
            note = wishes.work / f"{_file(case)}{seed}.json"
            run = kept(note, partial(built, config, case, seed, root, wishes.work))
            print(case, seed, run["measures"], run["levels"], flush=True)
            if not wishes.no_timing:
                run["times"] = kept(
                    note.with_suffix(".times.json"), partial(timed, config, case, run, root, wishes.work)
                )
            runs.append(run)
        result["cases"][case] = runs
    path = wishes.out / "other_tasks.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(tables(result))


if __name__ == "__main__":
    main()
