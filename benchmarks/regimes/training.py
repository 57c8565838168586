"""One network of the benchmark, from scratch by one regime."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.cifar_resnet import CifarResNet
from benchmarks.cifar_vit import CifarViT
from offramp.heads import head_type
from offramp.model.augment import Augment
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.progress import Progress
from offramp.reading import reader
from offramp.sources import Source
from offramp.tasks.classification import Classification
from offramp.train import trunk_regime
from offramp.train.optimisers import optimiser, schedule
from offramp.train.phase import Length, Phase, TrunkRegime
from offramp.train.trained import Trained
from offramp.train.trunk import Trunk
from offramp.types import Exit

LOGITS = reader(Classification())
ROWS = 500


KINDS: dict[str, type[nn.Module]] = {"resnet": CifarResNet, "vit": CifarViT}
"""Networks by what a config calls them."""


def untrained(config: Mapping[str, Any], seed: int) -> MultiExit:
    """The network with its heads, initialised from the seed: the same for all regimes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = KINDS[config.get("kind", "resnet")](**config["network"]).eval()
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    backbone = analyse(model, torch.zeros(2, 3, 32, 32), LOGITS)
    generator = torch.Generator().manual_seed(seed)
    exits = tuple(Exit(name, config["head"]) for name in config["points"])
    made = head_type(config["head"])
    heads = [made.build(backbone.point(name).feature_shape, backbone.classes, generator) for name in config["points"]]
    return MultiExit(backbone, exits, nn.ModuleList(heads).eval())


def regime(config: Mapping[str, Any], row: Mapping[str, Any]) -> TrunkRegime:
    """The phases of a row, as long as it says."""
    like = Phase(
        optimiser=optimiser(**config["optimiser"]),
        schedule=schedule(**config["schedule"]),
        precision=config["precision"],
    )
    found = trunk_regime(row["regime"], len(config["points"]), like)
    return found.lasting(*(Length(steps=round(length * config["steps"])) for length in row["lengths"]))


@dataclass(frozen=True, eq=False)
class Lab:
    """Where one seed and size is trained.

    Attributes:
        config: of the benchmark.
        learn: images to learn from.
        seed: of everything.
        work: folder for what is done.
        progress: told about every check.
    """

    config: Mapping[str, Any]
    learn: Source
    seed: int
    work: Path
    progress: Progress

    def train(self, start: MultiExit, phases: TrunkRegime, name: str) -> Trained:
        """The copy of `start` that went through the phases; an interrupted training goes on."""
        self.work.mkdir(parents=True, exist_ok=True)
        trunk = Trunk(
            start,
            phases,
            LOGITS,
            batch_size=self.config["batch_size"],
            held=0.0,
            every=100,
            augment=Augment(shift=self.config["shift"]),
            seed=self.seed,
            checkpoint=self.work / f"{name}.checkpoint",
        )
        return trunk.run(self.learn, self.learn.labels(), self.progress)

    def plain(self, start: MultiExit, phases: TrunkRegime) -> MultiExit:
        """The network after the phase for the backbone alone, which regimes share."""
        length = phases.phases[0].length.steps
        file = self.work / f"plain-{length}.safetensors"
        if not file.exists():
            alone = replace(phases, phases=phases.phases[:1])
            done = self.train(start, alone, f"plain-{length}")
            save_file({key: tensor.contiguous() for key, tensor in done.model.state_dict().items()}, file)
        start.backbone.model.load_state_dict(load_file(file))
        return start


def answers(multi_exit: MultiExit, source: Source) -> np.ndarray:
    """The logits of every exit, `(exits, samples, classes)`."""
    found = []
    with frozen(multi_exit.backbone.model), torch.no_grad():
        for rows in np.array_split(np.arange(len(source)), max(1, len(source) // ROWS)):
            found.append(multi_exit.outputs(source.inputs(rows), LOGITS).numpy())
    return np.concatenate(found, axis=1)
