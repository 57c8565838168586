"""Times of the stages of ResNet-56, shares of its exits, and what that means for a rate of requests.

    python -m benchmarks.capacity benchmarks/capacity/config.json [--bundle DIR] [--only stages]

Writes `capacity.json`. Each stage runs by itself, one thread, on full batches of real samples. `messages` needs Ray.
All times are those of the processor, so that other work on the machine matters little. The data is looked for in
$OFFRAMP_DATA or ../shared/data.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import offramp
from benchmarks.capacity.messages import messages
from offramp.exporting import export
from offramp.machine import machine
from offramp.serve.capacity import loads, measured

Config = dict[str, Any]
Rows = list[dict[str, Any]]


def stages(config: Config, folder: Path, images: np.ndarray) -> Rows:
    """Each runtime, batch and operating point: shares, times, bytes, and the load of each stage at the rate."""
    found = []
    for runtime in config["runtimes"]:
        for batch in config["batches"]:
            for point in (name for name in config["points"] if name != "full"):
                known = measured(folder, point, [images], batch, runtime, config["rounds"], time.process_time)
                load = loads(float(config["rate"]), known.shares, known.seconds, batch, config["utilisation"])
                plain = loads(float(config["rate"]), (1.0,), (known.whole,), batch, config["utilisation"])[0]
                row = {"runtime": runtime, "batch": batch, "point": point, **asdict(known)}
                found.append(row | {"loads": [asdict(one) for one in load], "plain": asdict(plain)})
    return found


def main() -> None:
    """Measures, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--bundle", type=Path, help="instead of building one")
    parser.add_argument("--only", choices=("stages", "messages"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/capacity.json"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    torch.set_num_threads(1)
    loaded = offramp.load_model(config["model"], root / config["weights"])
    source = offramp.open_source(str(root / config["data"]), loaded.preprocess)
    with tempfile.TemporaryDirectory(prefix="offramp-") as scratch:
        if wishes.bundle is None:
            bundle = offramp.build(loaded.model, source, out=Path(scratch) / "bundle", **config["build"])
        else:
            bundle = offramp.Bundle.load(wishes.bundle).attach(loaded.model)
        images = source.inputs(bundle.splits["report"])
        assert isinstance(images, torch.Tensor)
        export(bundle, Path(scratch) / "stages", config["points"])
        found = json.loads(wishes.out.read_text()) if wishes.out.exists() else {}
        found |= {"config": config, "machine": machine("onnxruntime", "openvino", "ray")}
        asked: dict[str, Callable[[], Rows]] = {
            "stages": lambda: stages(config, Path(scratch) / "stages", images.numpy()),
            "messages": lambda: [
                asdict(row) for row in messages(Path(scratch) / "stages", config["messages"], images.numpy())
            ],
        }
        for name, measure in asked.items():
            if wishes.only in (None, name):
                found[name] = measure()
                wishes.out.write_text(json.dumps(found, indent=1) + "\n")
                print(*found[name], sep="\n", flush=True)


if __name__ == "__main__":
    main()
