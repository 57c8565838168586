"""Toy backbones with heads, what Hypothesis draws for them, and how to see that a model was left alone."""

from functools import cache

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.temperature import Temperature
from offramp.inputs import Inputs
from offramp.load.arrays import open_array
from offramp.model.backbone import Graph
from offramp.model.multi_exit import MultiExit, Recording
from offramp.reading import reader
from offramp.run.eager import Eager
from offramp.sources import Source
from offramp.tasks.classification import Classification
from offramp.testing.models import CLICKS, CNN, MLP, TEXT, TOYS, VIT, Toy, attached
from offramp.testing.untouched import state_of, untouched
from offramp.types import Configuration
from tests.tables import _random_untouched

__all__ = ["CLICKS", "CNN", "MLP", "NAMES", "TEXT", "TOYS", "VIT", "Toy", "attached", "state_of", "untouched"]

NAMES = {toy.name: toy for toy in TOYS}
HEADS = ("grid-linear", "pooled-mlp")
logits_of = reader(Classification())


@cache
def live(name: str) -> MultiExit:
    """The toy of that name with two heads at every point; shared, so not to be changed."""
    return attached(NAMES[name].model(), NAMES[name].inputs(2), HEADS)


def eager_of(model: MultiExit) -> Eager:
    """The driver that stops at all points of a model."""
    return Eager.of(model.backbone, [point.name for point in model.points], logits_of)


def graph_of(name: str) -> Graph:
    """The graph of the toy of that name."""
    graph = live(name).backbone.graph
    assert graph is not None
    return graph


def source(toy: Toy, samples: int, seed: int = 1) -> Source:
    return open_array(toy.inputs(samples, seed), None, None, toy.name)


@st.composite
def configurations(draw: st.DrawFn, scores: np.ndarray) -> Configuration:
    """Thresholds within each exit's recorded scores (exits, samples), so that every exit parts the samples."""
    inner = len(scores)
    enabled = draw(st.lists(st.booleans(), min_size=inner, max_size=inner))
    share = draw(st.lists(st.floats(0, 1), min_size=inner, max_size=inner))
    with _random_untouched():
        threshold = tuple(float(np.quantile(row, q)) for row, q in zip(scores, share, strict=True))
        return Configuration(tuple(enabled), threshold)


@cache
def recording(name: str, samples: int = 48) -> Recording:
    """All exits' logits on the toy's inputs of seed 7."""
    with torch.no_grad():
        return Recording(live(name).outputs(NAMES[name].inputs(samples, 7), logits_of).numpy(), "choose")


def calibrators_of(name: str) -> list[Calibrator]:
    """Temperatures of all sizes, one per exit."""
    generator = np.random.default_rng(0)
    return [Temperature(float(t)) for t in generator.uniform(0.3, 1.5, len(live(name).exits))]


def whole(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    """The model's own logits, called as a user would call it in eval mode."""
    with torch.no_grad():
        if isinstance(inputs, dict):
            return logits_of(model(**inputs))
        return logits_of(model(*inputs) if isinstance(inputs, tuple) else model(inputs))


def indices(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)
