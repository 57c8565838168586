"""Mask R-CNN left after its residual stages, with random weights: what is really skipped when exits fire.

    python -m benchmarks.detection.mask_rcnn --out docs/results/mask_rcnn.json

The network is torchvision's on a ResNet-50, its decisions are imposed (the weights are random, so its answers mean
nothing), all else is real: real COCO pictures of 160 pixels, heads, the whole path with proposals, boxes and masks for
pictures that stay, and nothing of it for those that left. It is left by hooks, in PyTorch. Shares are such that the
mean picture costs what SelfXit reports for Mask R-CNN (44.8 % of the FLOPs skipped). Takes some minutes.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.detection.coco import read
from benchmarks.detection.one_size import OneSize
from benchmarks.detection.torchvision_detectors import maskrcnn
from benchmarks.speed.imposed import PERIOD, Imposed
from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.heads import head_type
from offramp.machine import machine
from offramp.model.by_hooks import by_hooks
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.run.choice import executor
from offramp.run.loop import Outcome, Plan, run, stops_of
from offramp.run.timing import interleaved
from offramp.tasks.detection import Detection
from offramp.types import Configuration, Exit

POINTS = tuple(f"front.after.body-{block}" for block in ("layer1-2", "layer2-3", "layer3-5"))
"""Behind the residual stages at which SelfXit has its exits."""

SIDE, BATCH, ROUNDS, SKIPPED = 160, 8, 7, 0.448


def multi_exit(pictures: torch.Tensor) -> MultiExit:
    """The detector with an untrained head at each place; its task is whether there is an object of class 1."""
    read_off = reader(Detection("present", 1))
    backbone = by_hooks(OneSize(maskrcnn(SIDE)).eval(), pictures[:2], read_off, POINTS)
    generator = torch.Generator().manual_seed(0)
    heads = [head_type("grid-mlp").build(point.feature_shape, 2, generator) for point in backbone.points]
    return MultiExit(backbone, tuple(Exit(point.name, "grid-mlp") for point in backbone.points), nn.ModuleList(heads))


def shares_for(cost: np.ndarray, skipped: float) -> np.ndarray:
    """Equal shares at all exits but the last with which about this share of the cost is skipped, as far as imposed."""
    inner = cost[:-1]
    each = skipped / float((cost[-1] - inner).sum() / cost[-1])
    whole = np.round(each * PERIOD) / PERIOD
    return np.append(np.full(len(inner), whole), 1.0 - whole * len(inner))


def main() -> None:
    """Measures, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/results/mask_rcnn.json"))
    wishes = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    coco = read(root / "detection/coco128_train2017_dev.tar", (SIDE, SIDE), BATCH * ROUNDS)
    pictures = torch.from_numpy(coco.pictures).permute(0, 3, 1, 2).float() / 255
    live = multi_exit(pictures)
    cost = live.macs().leaving(np.ones(len(POINTS), bool))
    shares = shares_for(cost, SKIPPED)
    make = partial(executor, live, reader(Detection("present", 1)), MaxProb(), (Identity(),) * len(POINTS))
    on = (True,) * len(POINTS)
    chosen = Configuration(on, (0.5,) * len(POINTS))
    plan = Plan(chosen, stops_of(on, live.point_of), Imposed(make(on), shares.tolist()))
    uncut = Plan(Configuration.full(len(POINTS)), (), make((False,) * len(POINTS)))
    outcomes: list[Outcome] = []
    rounds = [[pictures[at : at + BATCH]] for at in range(0, len(pictures), BATCH)]

    def early(batch: torch.Tensor) -> None:
        outcomes.append(run(plan, batch))

    timing = interleaved({"early": early, "uncut": lambda batch: run(uncut, batch)}, rounds)
    index = np.concatenate([one.exit_index for one in outcomes])
    result: dict[str, Any] = {
        "machine": machine("torchvision"),
        "macs": live.backbone.macs,
        "depth": {point.name: point.depth for point in live.backbone.points},
        "imposed": shares.tolist(),
        "left": (np.bincount(index, minlength=len(cost)) / len(index)).tolist(),
        "macs_share": float(cost[index].mean() / cost[-1]),
        "time_share": timing.ratio("early", "uncut"),
        "noise": timing.noise("early", "uncut"),
        "seconds_a_picture": float(np.median(timing.seconds("uncut"))) / BATCH,
        "full": {name: list(values.shape[1:]) for name, values in outcomes[-1].full.items()},
    }
    wishes.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
