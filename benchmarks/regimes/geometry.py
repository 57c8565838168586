"""Claims R4, R5 and R6 on a small ResNet: barriers between regimes, ranks of features, and which exit dominates.

    python -m benchmarks.regimes.geometry benchmarks/regimes/geometry.json

Disjoint and mixed share the backbone of phase 1, so a low barrier between them is no wonder; the control is mixed
training from another phase 1 (another seed, the same data). Trainings that are done are kept in the work folder.
"""

import argparse
import copy
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.kept import kept
from benchmarks.regimes.data import parts
from benchmarks.regimes.landscape import Weights, barrier, between, dominance, ranks, recalibrate
from benchmarks.regimes.training import LOGITS, Lab, regime, untrained
from offramp.machine import machine
from offramp.model.taps import tapped
from offramp.train.exiting import Exiting
from offramp.train.layout import layout_of

BATCHES = 4


@dataclass(frozen=True, eq=False)
class Sight:
    """Images on which weights are looked at.

    Attributes:
        network: with untrained heads; its weights are replaced.
        images: (samples, channels, height, width).
        labels: one per image.
        points: names of the exit points.
    """

    network: Exiting
    images: torch.Tensor
    labels: torch.Tensor
    points: tuple[str, ...]

    def losses(self) -> list[torch.Tensor]:
        """Cross-entropy of every exit, the backbone's last."""
        said = self.network(self.images, range(len(self.points) + 1))
        return [F.cross_entropy(said[exit_], self.labels) for exit_ in range(len(self.points) + 1)]

    def line(self, one: Weights, other: Weights, steps: int) -> dict[str, list[float]]:
        """Loss of the last exit and mean of all on the way, batch norms calibrated anew at each step."""
        last, mean = [], []
        for share in np.linspace(0.0, 1.0, steps):
            self.network.load_state_dict(between(one, other, float(share)))
            recalibrate(self.network, self._batches)
            with torch.no_grad():
                losses = torch.stack(self.losses())
            last.append(float(losses[-1]))
            mean.append(float(losses.mean()))
        return {"last": last, "mean": mean}

    def _batches(self) -> None:
        for some in self.images.chunk(BATCHES):
            self.network(some, range(len(self.points) + 1))

    def ranks(self, weights: Weights, entries: int) -> dict[str, tuple[int, float]]:
        """Numerical and effective rank at every point, of at most so many entries of the feature, always the same."""
        self.network.load_state_dict(weights)
        with torch.no_grad(), tapped(self.network.model, list(self.points), lambda _, feature: feature) as features:
            self.network.model(self.images)
        found = {}
        for name in self.points:
            flat = features[name].flatten(1).numpy()
            some = np.random.default_rng(0).permutation(flat.shape[1])[:entries]
            found[name] = ranks(flat[:, np.sort(some)])
        return found

    def dominance(self, weights: Weights) -> list[list[float]]:
        """Share of each exit (columns, the backbone's last) in each span between points (rows)."""
        self.network.load_state_dict(weights)
        recalibrate(self.network, self._batches)
        with torch.enable_grad():
            found: list[list[float]] = dominance(self.losses(), self._spans()).tolist()
        return found

    def _spans(self) -> list[list[nn.Parameter]]:
        """Parameters of the backbone by the first exit that depends on them."""
        places = layout_of(self.network, self.images[:2]).parameters
        named = dict(self.network.named_parameters())
        spans = [
            [named[name] for name, piece in places.items() if piece.kind != "head" and piece.stage == stage]
            for stage in range(len(self.points) + 1)
        ]
        return [span for span in spans if span]


def trained(config: Mapping[str, Any], seed: int, root: Path, work: Path) -> dict[str, Weights]:
    """Weights by name: before and after each regime, and mixed from the phase 1 of another seed."""
    learn = parts(config, root, config["size"], seed)["learn"]

    def start(own: int) -> Exiting:
        return Exiting(untrained(config, own), LOGITS)

    def lab(own: int) -> Lab:
        return Lab(config, learn, own, work / f"{seed}-{own}", lambda stage, done, total: None)

    found: dict[str, Weights] = {"untrained": _weights(start(seed))}
    for name, own in (("", seed), (" control", seed + config["other"])):
        phases = regime(config, {"regime": "mixed", "lengths": [1, 1]})
        plain = lab(own).plain(untrained(config, own), phases)
        if own != seed:  # heads from the same start, so that only phase 1 is another
            plain = replace(plain, heads=copy.deepcopy(untrained(config, seed).heads))
        found[f"plain{name}"] = _weights(Exiting(plain, LOGITS))
        for row in ("mixed", "disjoint") if own == seed else ("mixed",):
            both = regime(config, {"regime": row, "lengths": [1, 1]})
            done = lab(own).train(plain, both.done(), row)
            found[row + name] = _weights(Exiting(replace(plain, heads=done.heads), LOGITS), done.model)
    joint = regime(config, {"regime": "joint", "lengths": [2]})
    done = lab(seed).train(untrained(config, seed), joint, "joint")
    found["joint"] = _weights(Exiting(replace(untrained(config, seed), heads=done.heads), LOGITS), done.model)
    return found


def _weights(network: Exiting, model: nn.Module | None = None) -> Weights:
    if model is not None:
        network.model.load_state_dict(model.state_dict())
    return copy.deepcopy(network.state_dict())


def cell(config: Mapping[str, Any], seed: int, root: Path, work: Path) -> dict[str, Any]:
    """All of a seed."""
    weights = trained(config, seed, root, work)
    data = parts(config, root, config["size"], seed)
    learn, fresh = data["learn"], data["choose"]
    network = Exiting(untrained(config, seed), LOGITS).eval()
    rows = np.arange(config["looked"])

    def sight(source: Any) -> Sight:
        return Sight(network, source.inputs(rows), torch.from_numpy(source.labels()[rows]), tuple(config["points"]))

    pairs = (("disjoint", "mixed"), ("mixed", "joint"), ("disjoint", "joint"), ("mixed", "mixed control"))
    lines = {f"{a} - {b}": sight(learn).line(weights[a], weights[b], config["line"]) for a, b in pairs}
    return {
        "seed": seed,
        "lines": lines,
        "barriers": {name: {kind: barrier(line) for kind, line in found.items()} for name, found in lines.items()},
        "ranks": {
            name: sight(fresh).ranks(weights[name], config["entries"]) for name in ("disjoint", "mixed", "joint")
        },
        "dominance": {
            "joint, at its start": sight(learn).dominance(weights["untrained"]),
            "mixed, at the start of phase 2": sight(learn).dominance(weights["plain"]),
            "joint, at its end": sight(learn).dominance(weights["joint"]),
            "mixed, at its end": sight(learn).dominance(weights["mixed"]),
        },
    }


def main() -> None:
    """Runs what is missing, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/geometry.json"))
    parser.add_argument("--work", type=Path, default=Path("build/geometry"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    runs = []
    for seed in config["seeds"]:
        note = wishes.work / f"{seed}.json"
        runs.append(kept(note, partial(cell, config, seed, root, wishes.work)))
        print(json.dumps({key: runs[-1][key] for key in ("barriers", "ranks", "dominance")}), flush=True)
    wishes.out.write_text(json.dumps({"config": config, "machine": machine(), "runs": runs}, indent=1) + "\n")
    print(wishes.out)


if __name__ == "__main__":
    main()
