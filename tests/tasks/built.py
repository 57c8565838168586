"""Bundles of networks that learned from scikit-learn's digits: attributes of a digit, and the number that it is."""

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from offramp.bundle import Bundle
from offramp.load.factories import call_factory
from offramp.load.sources import open_source
from offramp.pipeline import build
from offramp.sources import Source
from tests.builds import RECIPE

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        sizes = [64, *[128] * 6]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU()) for before, after in zip(sizes, sizes[1:])
        )
        self.last = nn.Linear(128, outputs)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def labels():
    return Net(4)


def value():
    return Net(1)


def values():
    return Net(2)
"""

UNIT = 1e4
"""A digit d is the value `UNIT` * d."""

WISHES = {"recipe": RECIPE, "max_drop": 0.05, "timed": ()}


def attributes(digit: np.ndarray) -> np.ndarray:
    """Even, at least five, prime, and with a loop."""
    kinds = [digit % 2 == 0, digit >= 5, np.isin(digit, (2, 3, 5, 7)), np.isin(digit, (0, 6, 8, 9))]
    return np.stack(kinds, axis=1).astype(np.int64)


@dataclass(frozen=True)
class Problem:
    """A task with data, and a trained network in a file.

    Attributes:
        task: its name.
        folder: with `nets.py`, `weights.safetensors`, `data.npz` and `bundle`.
        factory: of the network.
    """

    task: str
    folder: Path
    factory: str

    @property
    def net(self) -> list[str]:
        """The model with its weights, as arguments of the command line."""
        return [f"{self.folder / 'nets.py'}:{self.factory}", "--weights", str(self.folder / "weights.safetensors")]

    @property
    def data(self) -> str:
        return str(self.folder / "data.npz")

    @property
    def source(self) -> Source:
        return open_source(self.data, None)

    def arrays(self) -> tuple[torch.Tensor, np.ndarray]:
        with np.load(self.data) as arrays:
            return torch.from_numpy(arrays["x"]), arrays["y"]

    def model(self) -> nn.Module:
        model: nn.Module = call_factory(f"{self.folder / 'nets.py'}:{self.factory}")
        model.load_state_dict(torch.load(self.folder / "weights.pt", weights_only=True))
        return model.eval()


def trained(model: nn.Module, x: torch.Tensor, target: torch.Tensor, each: bool) -> None:
    """Learns from the samples in half a second."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    mean, scale = (0.0, 1.0) if each else (target.mean(0), target.std(0))
    for _ in range(300):
        rows = torch.randint(0, len(x), (128,), generator=generator)
        said, wanted = model(x[rows]), (target[rows] - mean) / scale
        loss = F.binary_cross_entropy_with_logits(said, wanted) if each else F.mse_loss(said, wanted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    if not each:
        last = model.last
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(scale[:, None])  # type: ignore[index]
            last.bias.mul_(scale).add_(mean)


def problem(task: str) -> Problem:
    """The problem of a task in a folder that is never changed: `multilabel`, `regression`, or `regression` of two."""
    return _made(task)[0]


def bundle(task: str) -> Bundle:
    """Its bundle, on its model."""
    return _made(task)[1]


def saving(found: Bundle) -> str:
    """The cheapest operating point."""
    return min(found.points, key=lambda point: point.cost).name


@cache
def _made(task: str) -> tuple[Problem, Bundle]:
    folder = Path(tempfile.mkdtemp(prefix="offramp-tests-"))
    pixels, digit = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digit))
    x, digit = torch.from_numpy((pixels[order] / 16.0).astype(np.float32)), digit[order]
    several = task == "regression:5000,50"
    factory = "labels" if task == "multilabel" else "values" if several else "value"
    y = attributes(digit) if task == "multilabel" else digit * UNIT
    y = np.stack([digit * UNIT, digit * 100.0], axis=1) if several else y
    found = Problem(task, folder, factory)
    (folder / "nets.py").write_text(NET)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = call_factory(f"{folder / 'nets.py'}:{factory}")
    taught = torch.from_numpy(y.reshape(len(y), -1).astype(np.float32))
    trained(model, x[:600], taught[:600], task == "multilabel")
    save_file(model.state_dict(), folder / "weights.safetensors")
    torch.save(model.state_dict(), folder / "weights.pt")
    np.savez(folder / "data.npz", x=x[600:].numpy(), y=y[600:])
    built = build(model.eval(), found.source, out=folder / "bundle", task=task, **WISHES)  # type: ignore[arg-type]
    return found, built


def forget() -> None:
    """Removes the folders of all problems."""
    for task in TASKS:
        shutil.rmtree(problem(task).folder, ignore_errors=True)
    _made.cache_clear()


TASKS = ("multilabel", "regression", "regression:5000,50")
