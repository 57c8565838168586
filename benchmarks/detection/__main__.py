"""Exits on FastestDet that say whether a person is there, taught without labels, on pictures of ImageNet and COCO.

    python -m benchmarks.detection benchmarks/detection/config.json --out docs/results/detection.json

What is done is kept, so an interrupted run goes on. The data is looked for in $OFFRAMP_DATA or ../shared/data. Heads,
thresholds and certificates come from the stream of ImageNet pictures; COCO's are only measured on, with their labels.
`--timing` measures time on ONNX Runtime as well and wants the machine for itself.
"""

import argparse
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import offramp
from benchmarks.detection.coco import Coco, read
from benchmarks.detection.front import at_cost, figures
from benchmarks.detection.page import page
from benchmarks.kept import kept
from offramp.benching import bench
from offramp.bundle import Bundle
from offramp.load.combine import subset
from offramp.load.models import LoadedModel, load_model
from offramp.machine import machine
from offramp.recipes import recipe

FACTORY = f"{Path(__file__).with_name('presence.py')}:detector"


def measured(config: dict[str, Any], loaded: LoadedModel, root: Path, work: Path, name: str, seed: int) -> Any:
    """One build, and what it does on its own report part and on COCO."""
    coco = read(root / config["coco"])
    bundle = built(config, loaded, root, work, name, seed)
    pictures = offramp.open_source(coco.pictures, loaded.preprocess)
    on_coco = offramp.evaluate(bundle, pictures, batch_sizes=())
    own = offramp.evaluate(
        bundle, offramp.open_source(root / config["stream"], loaded.preprocess), labels=False, batch_sizes=()
    )
    tables = figures(bundle, pictures, coco.presence(config["object"]), coco.names.index(config["object"]))
    return {
        "seed": seed,
        "macs": own.macs,
        "exits": [exit_.point for exit_ in bundle.manifest.exits],
        "costs": {str(cost): at_cost(tables, cost) for cost in config["costs"]},
        "plain": tables.plain,
        "points": [
            {
                "name": point.name,
                "certified": {bound.risk: bound.epsilon for bound in (point.bound, *point.also) if bound is not None},
                "report": {"cost": a.cost_ratio, "agreement": a.agreement, **a.measures},
                "coco": {"cost": b.cost_ratio, "agreement": b.agreement, **b.measures, **tables.held(point)},
            }
            for point, a, b in zip(bundle.points, own.points, on_coco.points, strict=True)
        ],
    }


def built(config: dict[str, Any], loaded: LoadedModel, root: Path, work: Path, name: str, seed: int) -> Bundle:
    """The bundle of a task and a seed, built if it is not there yet."""
    more = config["more"].get(name)
    out = work / f"{config['tasks'][name].replace(':', '-')}{'' if more is None else '-more'}-{seed}"
    if (out / "manifest.json").exists():
        return Bundle.load(out).attach(loaded.model)
    chosen, extra = recipe(config["recipe"]), []
    if more is not None:
        chosen = replace(chosen, augment=replace(chosen.augment, copies=more["copies"]))
        pictures = offramp.open_source(root / more["data"], loaded.preprocess)
        extra = [subset(pictures, np.linspace(0, len(pictures) - 1, more["samples"]).astype(np.int64))]
    return offramp.build(
        loaded,
        root / config["stream"],
        out=out,
        task=config["tasks"][name],
        recipe=chosen,
        extra_data=extra,
        max_drop=config["max_drop"],
        delta=config["delta"],
        keep=config["points_kept"],
        seed=seed,
        timed=(),
    )


def timed(config: dict[str, Any], bundle: Bundle, coco: Coco, loaded: LoadedModel) -> list[dict[str, Any]]:
    """Time on ONNX Runtime and eager, of all named points against the uncut model, one thread."""
    source = offramp.open_source(coco.pictures, loaded.preprocess)
    rows = bench(bundle, source, backends=("eager", "onnx"), batch_sizes=tuple(config["timed"]), threads=1)
    return [
        {"backend": row.backend, "batch": row.batch, "point": row.point, "ms": row.ms, "time": row.ratio_to_uncut}
        for row in rows
    ]


def main() -> None:
    """Runs what is missing, writes the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/detection.json"))
    parser.add_argument("--work", type=Path, default=Path("build/detection"))
    parser.add_argument("--timing", action="store_true", help="measure time, too")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    loaded = load_model(FACTORY, root / config["weights"])
    result: dict[str, Any] = {"version": 1, "config": config, "machine": machine("onnxruntime"), "tasks": {}}
    for name, seeds in config["seeds"].items():
        runs = []
        for seed in seeds:
            note = wishes.work / f"{name.replace(' ', '-')}-{seed}.json"
            runs.append(kept(note, partial(measured, config, loaded, root, wishes.work, name, seed)))
        result["tasks"][name] = runs
    note = wishes.work / "time.json"
    if wishes.timing:
        first = next(iter(config["tasks"]))
        bundle = built(config, loaded, root, wishes.work, first, config["seeds"][first][0])
        note.unlink(missing_ok=True)
        kept(note, lambda: {"rows": timed(config, bundle, read(root / config["coco"]), loaded)})
    result["time"] = json.loads(note.read_text())["rows"] if note.exists() else []
    wishes.out.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(page(result)))


if __name__ == "__main__":
    main()
