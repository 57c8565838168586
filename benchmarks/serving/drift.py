"""Inputs that change: how soon it is noticed, how seldom it is noticed without cause, and what comes then.

python -m benchmarks.serving.drift benchmarks/serving/drift.json --work build/serving/drift
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import kept
from benchmarks.serving.corruptions import KINDS, Pictures
from benchmarks.serving.drift_page import figure_of, page
from benchmarks.serving.live import live
from benchmarks.serving.scene import scene
from benchmarks.serving.streams import recorded, rows, slow_rows
from offramp import deployed
from offramp.load.models import load_model
from offramp.load.preprocess import Preprocess
from offramp.load.sources import open_source
from offramp.machine import machine
from offramp.serve.loading import from_stages

DOCS = Path("docs")
VERSION = 1


def main() -> None:
    """Runs what is missing, and writes result, page and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/serving/drift"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = json.loads(given.config.read_text())
    result = {"version": VERSION, "machine": machine("onnxruntime"), "config": config}
    result |= kept(given.work / "streams.json", lambda: streams(config, given.data, given.work))
    result |= kept(given.work / "live.json", lambda: {"live": story(config, given.data, given.work)})
    (DOCS / "results" / "serving_drift.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / "serving_drift.md").write_text(page(result, given.config))
    figure_of(result, DOCS / "results" / "serving_drift.png")


def streams(config: Mapping[str, Any], data: Path, work: Path) -> dict[str, Any]:
    """Alarms on streams of the report part, clean and corrupted."""
    made = scene(config, data, work)
    model = deployed.load(made.stages, threads=1)
    pictures = np.load(data / config["data"])["x"][np.sort(made.bundle.splits["report"])]
    preprocess = load_model(config["model"], data / config["weights"]).preprocess
    points = [point for point in config["points"] if point != "full"]
    promises = {point: made.bundle.point(point).bound for point in points}
    clean = {point: recorded(model, made.images, point) for point in points}
    drifted = {}
    for kind, strength in config["streams"]["corruptions"]:
        images = as_taken(KINDS[kind](pictures, strength), preprocess)
        drifted[f"{kind} {strength}"] = {point: recorded(model, images, point) for point in points}
    served = {point: from_stages(made.stages).points[point] for point in points}
    found = {"slow": list(slow_rows(clean, drifted, served, config["streams"]))}
    levels = {point: bound.epsilon for point, bound in promises.items() if bound is not None}
    return found | {"streams": list(rows(clean, drifted, levels, config["streams"]))}


def story(config: Mapping[str, Any], data: Path, work: Path) -> dict[str, Any]:
    """The real server."""
    wishes, made = config["live"], scene(config, data, work)
    preprocess = load_model(config["model"], data / config["weights"]).preprocess
    pictures = np.concatenate([np.load(data / name)["x"] for name in wishes["images"]])
    pictures = pictures[np.random.default_rng(0).permutation(len(pictures))]
    kind, strength = wishes["corruption"]
    phases, first = {}, 0
    for phase, number in wishes["phases"].items():
        some = pictures[first : first + number]
        phases[phase] = as_taken(some if phase == "clean" else KINDS[kind](some, strength), preprocess)
        first += number
    model = deployed.load(made.stages, "full", threads=1)
    images = np.concatenate(list(phases.values()))
    labels = [
        int(one) for at in range(0, len(images), 50) for one in np.asarray(model(images[at : at + 50]).output).argmax(1)
    ]
    for name in ("versions", "kept", "refit"):
        shutil.rmtree(work / name, ignore_errors=True)
    shutil.copytree(made.stages, work / "versions" / "1")
    network = [config["model"], "--weights", str(data / config["weights"])]
    offramp = [sys.executable, "-m", "offramp"]
    last = str(int(wishes["share"] * wishes["phases"]["blurred"] * 0.95))
    refit = [*offramp, "refit", config["bundle"], *network, "--kept", str(work / "kept"), "--last", last]
    refit += ["--out", str(work / "refit")]
    export = [*offramp, "export", str(work / "refit"), *network, "--out", str(work / "versions" / "2")]
    os.sched_setaffinity(0, {1})
    return live(phases, labels, config, work, refit, export)


def as_taken(pictures: Pictures, preprocess: Preprocess | None) -> np.ndarray:
    """Pictures as the network takes them."""
    found = open_source(pictures, preprocess).inputs(np.arange(len(pictures)))
    assert isinstance(found, torch.Tensor)
    return found.numpy()


if __name__ == "__main__":
    main()
