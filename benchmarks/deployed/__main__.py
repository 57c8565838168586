"""Exports ResNet-56 with its exits, and measures switching and the script of the docs.

    python -m benchmarks.deployed benchmarks/deployed/config.json [--bundle DIR] [--only switching]

The bundle is one that `python -m benchmarks.cifar_front` built; the samples are those of its report part. The data is
looked for in $OFFRAMP_DATA or ../shared/data. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import offramp
from benchmarks.deployed.script import timed
from benchmarks.deployed.switching import idle, loaded
from offramp import deployed
from offramp.exporting import export
from offramp.machine import machine
from offramp.run.model import EarlyExitModel
from offramp.run.routing import Routing

Config = dict[str, Any]
Rows = list[dict[str, Any]]


def switching(config: Config, bundle: offramp.Bundle, folder: Path, images: torch.Tensor) -> Rows:
    """Rows of `SwitchRow`: each back end, idle and under load."""
    wishes, points = config["switching"], config["points"]
    batches = [images[start : start + wishes["batch"]] for start in range(0, len(images), wishes["batch"])]
    found = []
    for backend in wishes["backends"]:
        model, given = _model(backend, bundle, folder, batches, config)
        found.append(idle(backend, model, points, wishes["idle_calls"]))
        asked = (wishes["callers"], wishes["seconds"], wishes["pause"])
        found.append(loaded(backend, model, points, given, *asked))
    return [asdict(row) for row in found]


def _model(
    backend: str, bundle: offramp.Bundle, folder: Path, batches: list[torch.Tensor], config: Config
) -> tuple[EarlyExitModel, list[Any]]:
    if backend == "eager":
        return bundle.use(config["points"][0]), batches
    model = deployed.load(folder, runtime=backend, threads=config["threads"])
    return model, [batch.numpy() for batch in batches]


def script(config: Config, bundle: offramp.Bundle, folder: Path, images: np.ndarray) -> Rows:
    """Rows of `ScriptRow`: each batch size."""
    wishes, routing, found = config["script"], Routing.read(folder), []
    for size in wishes["batch_sizes"]:
        generator, count = np.random.default_rng(size), wishes["samples_per_round"] // size
        rounds = [
            [images[generator.integers(0, len(images), size)] for _ in range(count)] for _ in range(wishes["rounds"])
        ]
        found += timed(folder, routing, wishes["point"], bundle.cost, rounds, config["threads"])
    return [asdict(row) for row in found]


def main() -> None:
    """Measures, and writes `switching.json` and `script_timing.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--bundle", type=Path, help="instead of the one in the config")
    parser.add_argument("--only", choices=("switching", "script_timing"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    torch.set_num_threads(config["threads"])
    loaded_model = offramp.load_model(config["model"], root / config["weights"])
    bundle = offramp.Bundle.load(wishes.bundle or config["bundle"]).attach(loaded_model.model)
    source = offramp.open_source(str(root / config["data"]), loaded_model.preprocess)
    images = source.inputs(bundle.splits["report"])
    assert isinstance(images, torch.Tensor)
    with tempfile.TemporaryDirectory(prefix="offramp-") as scratch:
        folder = Path(scratch) / "stages"
        export(bundle, folder, config["points"])
        asked: dict[str, Callable[[], Rows]] = {
            "switching": lambda: switching(config, bundle, folder, images),
            "script_timing": lambda: script(config, bundle, folder, images.numpy()),
        }
        for name, measure in asked.items():
            if wishes.only in (None, name):
                result = {"config": config, "machine": machine("onnxruntime", "openvino"), "rows": measure()}
                (wishes.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
                for row in result["rows"]:
                    print(row, flush=True)


if __name__ == "__main__":
    main()
