"""What is timed: networks with imposed exits, and ResNet-56 with real ones."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.imposed import Imposed
from offramp.backends import executors
from offramp.bundle import Bundle
from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.heads import head_type
from offramp.live import Live
from offramp.load.combine import subset
from offramp.load.models import load_model
from offramp.load.sources import open_source
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.run.executor import Executor
from offramp.run.stage_seconds import ExecutorFor
from offramp.tasks.classification import Classification
from offramp.tune import tune
from offramp.types import Configuration, Exit

IMPOSED = "imposed"
"""The operating point whose exit shares are imposed."""


@dataclass(frozen=True)
class Case:
    """A model on which operating points are timed.

    Attributes:
        live: the model.
        threads: how many each back end uses.
        points: what is timed.
        promises: their bounds, where they have one.
        draw: a batch of inputs.
        shares: the exit shares, where they are imposed.
    """

    live: Live
    threads: int
    points: Mapping[str, Configuration]
    promises: Mapping[str, float]
    draw: Callable[[int, np.random.Generator], Any]
    shares: tuple[float, ...] | None = None

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="offramp-")

    def makes(self, backend: str) -> ExecutorFor:
        """What makes the executors of a back end."""
        make = executors(self.live, [backend], Path(self._folder.name) / backend, self.threads)[backend]
        shares = self.shares
        if shares is None:
            return make

        def imposing(enabled: tuple[bool, ...]) -> Executor:
            return Imposed(make(enabled), shares)

        return imposing


def imposed(name: str, config: Mapping[str, Any], int8: bool, threads: int, device: str) -> Case:
    """A network of timm with random weights and untrained heads near the depths of the config."""
    import timm

    torch.manual_seed(0)
    model, shape = timm.create_model(name).eval(), tuple(config["imposed"][name])
    if int8:
        from offramp import quantised

        model = quantised(model, torch.randn(16, *shape))
    backbone = analyse(model.to(device), torch.randn(2, *shape, device=device), reader(Classification()))
    points = [min(backbone.points, key=lambda point: abs(point.depth - depth)) for depth in config["depths"]]
    exits = tuple(Exit(point.name, config["head"]) for point in points)
    generator = torch.Generator().manual_seed(0)
    kind = head_type(config["head"])
    heads = [kind.build(point.feature_shape, backbone.classes, generator) for point in points]
    multi_exit = MultiExit(backbone, exits, torch.nn.ModuleList(heads))
    live = Live(multi_exit, reader(Classification()), MaxProb(), (Identity(),) * len(exits))
    everyone = Configuration((True,) * len(exits), (0.5,) * len(exits))

    def draw(batch: int, rng: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal((batch, *shape), np.float32)).to(device)

    return Case(live, threads, {IMPOSED: everyone}, {}, draw, tuple(config["shares"]))


def real(
    name: str, config: Mapping[str, Any], int8: bool, backend: str, threads: int, work: Path, data: Path, bundles: Path
) -> Case:
    """A trained bundle, tuned for a back end, on the report part of its own data."""
    entry = config["real"][name]
    files = Path(entry["int8"]["weights"]) if int8 else data / entry["weights"]
    loaded = load_model(entry["model"], files)
    source = open_source(str(data / entry["data"]), loaded.preprocess)
    built = Bundle.load(Path(entry["int8"]["bundle"]) if int8 else bundles / entry["bundle"])
    attached = built.attach(loaded.model)
    folder = work / "tuned" / f"{name}{'-int8' * int8}-{backend}-t{threads}"
    if folder.exists():
        tuned = replace(Bundle.load(folder), multi_exit=attached.multi_exit)
    else:
        mix = dict.fromkeys(entry["mix"], 1.0)
        tuned = tune(attached, source, backend, mix, threads)
        tuned.save(folder)
    points = {point.name: point for point in map(tuned.point, entry["points"])}
    report = subset(source, tuned.splits["report"])

    def draw(batch: int, rng: np.random.Generator) -> Any:
        return report.inputs(np.sort(rng.integers(0, len(report), batch)))

    return Case(
        tuned.live,
        threads,
        {name: point.configuration for name, point in points.items()},
        {name: point.bound.epsilon for name, point in points.items() if point.bound is not None},
        draw,
    )
