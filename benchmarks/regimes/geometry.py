"""Claims R1 to R6 on a small ResNet and a small ViT: accuracies, barriers, landscapes, ranks, information, gradients.

    python -m benchmarks.regimes.geometry benchmarks/regimes/geometry.json

Disjoint and mixed share the backbone of phase 1, so a low barrier between them is no wonder; the control is mixed
training from another phase 1 (another start and order, the same data). Joint training begins at the start of that
phase 1. All that is done is kept in the work folder, also within a training, so an interrupted run goes on.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.kept import kept
from benchmarks.regimes.data import parts
from benchmarks.regimes.geometry_figures import draw
from benchmarks.regimes.geometry_page import page
from benchmarks.regimes.geometry_trained import CONTROL, DISJOINT, JOINT, MIXED, PHASE_1, SHORT, START, Work
from benchmarks.regimes.training import LOGITS
from offramp.geometry.criterion import criterion
from offramp.geometry.looked import Looked
from offramp.geometry.seen_around import landscape, line, plane
from offramp.geometry.seen_inside import gradients, information_profile, rank_profile
from offramp.geometry.settings import Settings
from offramp.geometry.sight import Sight
from offramp.kept_parts import KeptParts
from offramp.machine import machine
from offramp.tasks.classification import Classification

COMPARED = (DISJOINT, MIXED, JOINT)
LINES = ((DISJOINT, MIXED), (MIXED, JOINT), (DISJOINT, JOINT), (MIXED, CONTROL))
"""Pairs of trainings with a line between their weights."""

MOMENTS = (START, PHASE_1, JOINT, MIXED)
"""When the gradients of the exits are looked at: at the start of joint training and of phase 2 of mixed training, and
at their ends."""


def cell(config: Mapping[str, Any], net: str, seed: int, root: Path, folder: Path) -> dict[str, Any]:
    """All of a network and a seed."""
    began = time.perf_counter()
    whole = {**config, **config["nets"][net]}
    work, larger = (
        Work(whole, parts(whole, root, whole[size], seed), seed, folder / f"{net}-{whole[size]}")
        for size in ("size", "larger")
    )
    names = dict.fromkeys([*COMPARED, *MOMENTS, CONTROL])
    outside = looked(work, "learn", config["outside"], {name: work.weights(name) for name in names}, folder)
    inside = looked(work, "choose", config["inside"], {name: outside.models[name] for name in COMPARED}, folder)
    some = Looked(outside.sight, inside.models, (), outside.settings, outside.kept, _told)
    moments = Looked(some.sight, {name: outside.models[name] for name in MOMENTS}, (), some.settings, some.kept, _told)
    found = {
        "net": net,
        "seed": seed,
        "accuracy": {name: work.accuracy(name) for name in (*COMPARED, SHORT)},
        "larger": {name: larger.accuracy(name) for name in (DISJOINT, SHORT)},
        "lines": [line(outside, *pair) for pair in LINES],
        "plane": plane(some, COMPARED),
        "landscape": landscape(some),
        "gradients": gradients(moments),
        "ranks": rank_profile(inside),
        "information": information_profile(inside),
    }
    return {**found, "seconds": time.perf_counter() - began}


def looked(work: Work, part: str, settings: Mapping[str, Any], models: Mapping[str, Any], folder: Path) -> Looked:
    """Trainings and some images of a part, with their labels."""
    chosen, source, network = Settings(**settings), work.parts[part], work.started()
    rows = np.arange(chosen.samples)
    labels = source.labels()[rows]
    held = criterion(Classification(), np.zeros((len(rows), network.backbone.classes), np.float32), labels)
    sight = Sight.of(network, LOGITS, source, rows, held, chosen.batch_size)
    asked = f"{source.fingerprint()} {len(rows)}"
    return Looked(sight, models, tuple(work.config["points"]), chosen, KeptParts(folder / "looked", asked), _told)


def _told(stage: str, done: int, total: int) -> None:
    print(f"  {stage} {done}/{total}", flush=True)


def main() -> None:
    """Runs what is missing, and writes result, page and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/geometry"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="write page and figures from the result that is there")
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    file = wishes.out / "results" / "geometry.json"
    if not wishes.page:
        config = json.loads(wishes.config.read_text())
        root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
        runs = []
        for seed, net in product(config["seeds"], config["nets"]):
            print(net, seed, flush=True)
            work = partial(cell, config, net, seed, root, wishes.work)
            runs.append(kept(wishes.work / f"{net}-{seed}.json", work))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"config": config, "machine": machine(), "runs": runs}) + "\n")
    result = json.loads(file.read_text())
    draw(result, wishes.out / "results")
    (wishes.out / "analyses.md").write_text(page(result, wishes.config))
    print(wishes.out / "analyses.md")


if __name__ == "__main__":
    main()
