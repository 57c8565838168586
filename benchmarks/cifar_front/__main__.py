"""Measures the front of ResNet-56 on CIFAR-10 over split seeds, and draws it.

    python -m benchmarks.cifar_front benchmarks/cifar_front/config.json [--protocol a] [--no-timing]

Each protocol and seed is one build and one evaluation on the report part; what is done is kept, so an interrupted
run goes on. The data is looked for in $OFFRAMP_DATA or ../shared/data.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import offramp
from benchmarks.cifar_front.figure import draw
from benchmarks.fronts import cost_within, spread
from benchmarks.kept import kept
from offramp.machine import machine

TIMED = ("balanced", "fast", "fastest")
"""Operating points whose time is measured."""


def built(config: dict[str, Any], protocol: dict[str, Any], seed: int, root: Path, folder: Path) -> dict[str, Any]:
    """Builds one seed and evaluates it on its report part."""
    loaded = offramp.load_model(config["model"], root / config["weights"])
    data = str(root / config["data"])
    bundle = offramp.build(
        loaded,
        data,
        out=folder,
        extra_data=[str(root / extra) for extra in protocol["extra_data"]],
        max_drop=config["max_drop"],
        delta=config["delta"],
        seed=seed,
        overwrite=True,
        keep=config["points_kept"],
        recipe=config["recipe"],
    )
    front = offramp.evaluate(bundle, offramp.open_source(data, loaded.preprocess), batch_sizes=())
    balanced = bundle.point("balanced").name
    certified = next(point for point in front.points if point.name == balanced)
    return {
        "seed": seed,
        "backbone_accuracy": front.accuracy,
        "oracle_cost": front.oracle_cost,
        "cost_within_drop": {str(drop): cost_within(front, drop) for drop in config["drops_in_points"]},
        "certified": {
            "epsilon": certified.bound.epsilon if certified.bound else None,
            "cost": certified.cost_ratio,
            "agreement": certified.agreement,
            "accuracy_drop": certified.accuracy_drop,
        },
        "front": [[p.cost_ratio, p.agreement, p.accuracy] for p in front.points],
    }


def timed(config: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Measures the named points of a bundle that was built before. Nothing else should run meanwhile."""
    loaded = offramp.load_model(config["model"], root / config["weights"])
    bundle = offramp.Bundle.load(folder).attach(loaded.model)
    source = offramp.open_source(str(root / config["data"]), loaded.preprocess)
    names = list(dict.fromkeys(bundle.point(name).name for name in TIMED))
    found = offramp.evaluate(
        bundle, source, points=names, batch_sizes=config["batch_sizes"], timing_samples=config["timing_samples"]
    )
    by_name = {point.name: point for point in found.points}
    return {
        name: {"cost_ratio": point.cost_ratio, "time_ratio": point.time_ratio}
        for name in TIMED
        for point in [by_name[bundle.point(name).name]]
    }


def summary(runs: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Mean and spread over seeds."""
    found: dict[str, Any] = {
        "cost_within_drop": {
            str(drop): spread([run["cost_within_drop"][str(drop)] for run in runs])
            for drop in config["drops_in_points"]
        },
        "certified_cost": spread([run["certified"]["cost"] for run in runs]),
        "certified_accuracy_drop": spread([run["certified"]["accuracy_drop"] for run in runs]),
        "certified_agreement": spread([run["certified"]["agreement"] for run in runs]),
        "oracle_cost": spread([run["oracle_cost"] for run in runs]),
    }
    if all("times" in run for run in runs):
        found["times"] = {
            name: {
                "cost_ratio": spread([run["times"][name]["cost_ratio"] for run in runs]),
                "time_ratio": {
                    str(size): spread([run["times"][name]["time_ratio"][str(size)] for run in runs])
                    for size in config["batch_sizes"]
                },
            }
            for name in TIMED
        }
    return found


def main() -> None:
    """Runs what is missing, writes the result and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--protocol", action="append", help="only this protocol; repeatable")
    parser.add_argument("--no-timing", action="store_true", help="build and evaluate only; measure time in a later run")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--work", type=Path, default=Path("build/cifar_front"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    result: dict[str, Any] = {"config": config, "machine": machine(), "protocols": {}}
    for name in wishes.protocol or config["protocols"]:
        runs = []
        for seed in config["seeds"]:
            folder = wishes.work / f"{name}{seed}"
            protocol = config["protocols"][name]
            run = kept(folder.with_suffix(".json"), partial(built, config, protocol, seed, root, folder))
            if not wishes.no_timing and protocol["timing"]:
                run["times"] = kept(folder.with_suffix(".times.json"), partial(timed, config, root, folder))
            runs.append(run)
            print(name, seed, run["cost_within_drop"], run["certified"], flush=True)
        result["protocols"][name] = {"summary": summary(runs, config), "runs": runs}
    wishes.out.mkdir(parents=True, exist_ok=True)
    path = wishes.out / "cifar_front.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    draw(result, wishes.out / "cifar_front.png")
    print(path)


if __name__ == "__main__":
    main()
