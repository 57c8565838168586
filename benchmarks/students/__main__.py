"""What moves a student of ResNet-56, and what does not: many ways of teaching it, side by side on one GPU.

    python -m benchmarks.students benchmarks/students/config.json --out docs/results/students.json
    python -m benchmarks.students benchmarks/students/second.json --out docs/results/students_second.json

Each is judged on the 2,500 test images that none learns from: agreement with the backbone, and what student and
backbone together cost at one threshold, read off there. Two minutes on an H200; without a GPU, days. The data is looked
for in $OFFRAMP_DATA or ../shared/data.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.cifar_resnet import CifarResNet, resnet56
from benchmarks.students.learner import Learner
from benchmarks.students.pictures import Stream, as_seen
from offramp.load.weights import load_weights
from offramp.machine import machine
from offramp.model.macs import network_macs

ROUND = 256
"""Views that all are given in turn."""


def main() -> None:
    """Teaches all, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the result, as JSON")
    parser.add_argument("--only", nargs="*", help="these runs alone")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    names = wishes.only or list(config["runs"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = compared(config, names, Path(os.environ.get("OFFRAMP_DATA", "../shared/data")), device)
    result = {"config": config, "machine": {**machine(), "device": _called(device)}, "runs": found}
    wishes.out.write_text(json.dumps(result, indent=1) + "\n")
    for run in sorted(found, key=lambda run: -run["agreement"]):
        print(f"{run['agreement']:6.2f} %  {run['name']}")


def compared(config: Mapping[str, Any], names: Sequence[str], root: Path, device: torch.device) -> list[dict[str, Any]]:
    """The figures of each run."""
    torch.manual_seed(config["seed"])
    backbone = _backbone(root / config["weights"]).to(device)
    x, y = (torch.from_numpy(part).to(device) for part in _opened(root / config["test"]))
    order = torch.from_numpy(np.random.default_rng(config["seed"]).permutation(len(x))).to(device)
    own, other = order[: config["learn"]], order[config["learn"] :]
    more = [torch.from_numpy(_opened(root / name)[0]).to(device) for name in config["training"]]
    runs = {name: {**config["base"], **config["runs"][name]} for name in names}
    streams = {_stream(told): _opened_stream(told, x[own], more, backbone) for told in runs.values()}
    learners = [
        Learner(name, told, backbone, max(1, int(told.get("times", 1) * config["views"]) // told["batch_size"]))
        for name, told in runs.items()
    ]
    while live := [learner for learner in learners if learner.step < learner.steps]:
        for key in {_stream(learner.told) for learner in live}:
            _given([learner for learner in live if _stream(learner.told) == key], streams[key])
    seen = as_seen(x[other])
    with torch.no_grad():
        plain = torch.cat([backbone(some) for some in torch.split(seen, 500)])
    return [figures(learner, seen, plain, y[other].long(), backbone) for learner in learners]


def figures(
    learner: Learner, seen: torch.Tensor, plain: torch.Tensor, labels: torch.Tensor, backbone: CifarResNet
) -> dict[str, Any]:
    """Agreement in %, cost of the student, and the least cost of student and backbone at a loss, as shares."""
    network, example = (learner.mean or learner.network).eval(), torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        logits = torch.cat([network(some)[0].float() for some in torch.split(seen, 500)])
    cpu = network.cpu().to(memory_format=torch.contiguous_format)
    share = network_macs(cpu, example, lambda said: said[0]) / network_macs(resnet56(), example, lambda said: said)
    top, right = plain.argmax(1), plain.argmax(1) == labels
    confidence, said = F.softmax(logits, 1).max(1).values, logits.argmax(1)
    best: dict[str, float] = {}
    for threshold in confidence.sort().values:
        stops = confidence >= threshold
        answer = torch.where(stops, said, top)
        cost = share + float((~stops).double().mean())
        lost = {"disagreement": (answer != top), "drop": right.double() - (answer == labels).double()}
        for kind, each in lost.items():
            for points in (0.5, 1, 2):
                if 100 * float(each.double().mean()) <= points:
                    key = f"{kind} {points:g}"
                    best[key] = min(best.get(key, 1.0), cost)
    agreement = 100 * float((said == top).double().mean())
    return {"name": learner.name, "views": learner.step * learner.told["batch_size"], "agreement": agreement} | {
        "share": share,
        "cost": best,
    }


def _stream(told: Mapping[str, Any]) -> tuple[object, ...]:
    return told["views"], told["mix"], told.get("over", 0), told.get("few", False)


def _opened_stream(
    told: Mapping[str, Any], own: torch.Tensor, more: Sequence[torch.Tensor], backbone: CifarResNet
) -> Stream:
    pictures = own if told.get("few") else torch.cat([own, *more, *[own] * told.get("over", 0)])
    return Stream(pictures, backbone, told["mix"], 0 if told["views"] == "fresh" else told["views"])


def _given(learners: Sequence[Learner], stream: Stream) -> None:
    told = stream.take(ROUND)
    on_gpu = told[0].device.type == "cuda"
    ready = torch.cuda.current_stream().record_event() if on_gpu else None
    for learner in learners:
        if learner.stream is not None and ready is not None:
            learner.stream.wait_event(ready)
        learner.feed(told)
        if learner.stream is not None:
            torch.cuda.current_stream().wait_stream(learner.stream)


def _backbone(path: Path) -> CifarResNet:
    found = resnet56()
    load_weights(found, path)
    return found.eval()


def _opened(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as arrays:
        return arrays["x"], arrays["y"]


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    main()
