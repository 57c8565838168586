"""Accuracy of ResNet-56 on CIFAR-10 in floating point and in INT8, with exits and without, on real back ends.

    python -m benchmarks.int8 benchmarks/int8/config.json --work build/int8

The network is quantised on unlabelled training images; the exits of each are trained, calibrated, chosen and certified
on its own features, by the same recipe and on the same parts. All figures are of the report part. What is done is kept.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

import offramp
from benchmarks.fronts import spread
from benchmarks.int8.page import page
from benchmarks.kept import kept
from offramp.backends import executors
from offramp.bundle import MANIFEST
from offramp.load.combine import subset
from offramp.machine import machine
from offramp.run.model import EarlyExitModel
from offramp.types import Configuration

RESULT, PAGE = Path("docs/results/int8.json"), Path("docs/int8.md")
PLAIN = "uncut"
VERSION = 1
BATCH = 100


def main() -> None:
    """Runs what is missing, and writes result and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/int8"))
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    front = json.loads(Path(config["front"]).read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    weights = int8_weights(config, front, root, given.work)
    runs = []
    for seed in config["seeds"]:
        for precision, file in (("f32", root / front["weights"]), ("int8", weights)):
            folder = given.work / f"{precision}-{seed}"
            note = folder.with_suffix(".json")
            run = kept(note, partial(measured, config, front, precision, file, seed, root, folder))
            runs.append(run)
            print(precision, seed, run["backends"], flush=True)
    facts = machine("onnxruntime", "openvino", "nncf")
    result = {"version": VERSION, "machine": facts, "config": config, "runs": runs, "summary": summary(runs, config)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(page(result, given.config))


def int8_weights(config: Mapping[str, Any], front: Mapping[str, Any], root: Path, work: Path) -> Path:
    """The file of the network in INT8."""
    file = work / "resnet56-int8.safetensors"
    if not file.exists():
        loaded = offramp.load_model(front["model"], root / front["weights"])
        images = offramp.open_source(str(root / config["calibration"]), loaded.preprocess)
        model = offramp.quantised(loaded.model, images, samples=config["samples"])
        work.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)
    return file


def measured(
    config: Mapping[str, Any],
    front: Mapping[str, Any],
    precision: str,
    weights: Path,
    seed: int,
    root: Path,
    folder: Path,
) -> dict[str, Any]:
    """Builds one bundle, and runs it on every back end over its report part."""
    loaded = offramp.load_model(front["model"], weights)
    data = str(root / front["data"])
    if not (folder / MANIFEST).exists():
        goal = {"max_drop": front["max_drop"], "delta": front["delta"]}
        offramp.build(loaded, data, out=folder, recipe=config["recipe"], seed=seed, **goal)
    bundle = offramp.Bundle.load(folder).attach(loaded.model)
    source = subset(offramp.open_source(data, loaded.preprocess), bundle.splits["report"])
    labels = source.labels()
    points = {PLAIN: Configuration.full(len(bundle.manifest.exits))}
    points |= {name: bundle.point(name).configuration for name in config["points"]}
    macs = bundle.live.multi_exit.macs()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        made = executors(bundle.live, config["backends"], Path(place), threads=2)
        for backend, make in made.items():
            model = EarlyExitModel(make, points, bundle.live.multi_exit.point_of, PLAIN)
            answers = {name: run(model.use(name), source) for name in points}
            plain = answers[PLAIN][0]
            found[backend] = {
                name: {
                    "accuracy": float((answer == labels).mean()),
                    "agreement": float((answer == plain).mean()),
                    "cost": float(macs.leaving(np.array(points[name].enabled))[exits].mean() / macs.backbone),
                }
                for name, (answer, exits) in answers.items()
            }
    bounds = {name: bundle.point(name).bound for name in config["points"]}
    promised = {name: None if bound is None else bound.epsilon for name, bound in bounds.items()}
    return {"precision": precision, "seed": seed, "samples": len(labels), "promised": promised, "backends": found}


def run(model: EarlyExitModel, source: Any) -> tuple[np.ndarray, np.ndarray]:
    """Classes and exits of all samples."""
    outcomes = [model(source.inputs(part)) for part in np.array_split(np.arange(len(source)), len(source) // BATCH)]
    return (
        np.concatenate([outcome.output.argmax(axis=1) for outcome in outcomes]),
        np.concatenate([outcome.exit_index for outcome in outcomes]),
    )


def summary(runs: list[dict[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
    """Means and spreads over seeds."""
    return {
        f"{precision}, {backend}": {
            point: {
                figure: spread([r["backends"][backend][point][figure] for r in runs if r["precision"] == precision])
                for figure in ("accuracy", "agreement", "cost")
            }
            for point in (PLAIN, *config["points"])
        }
        for precision in ("f32", "int8")
        for backend in config["backends"]
    }


if __name__ == "__main__":
    main()
