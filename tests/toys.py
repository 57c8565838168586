"""Toy backbones with heads, what Hypothesis draws for them, and how to see that a model was left alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.temperature import Temperature
from offramp.inputs import Inputs
from offramp.load.arrays import open_array
from offramp.model.multi_exit import MultiExit, Recording
from offramp.sources import Source
from offramp.tasks.classification import Classification
from offramp.testing.models import CLICKS, CNN, MLP, TEXT, TOYS, VIT, Toy, attached
from offramp.types import Configuration
from tests.tables import _random_untouched

__all__ = ["CLICKS", "CNN", "MLP", "NAMES", "TEXT", "TOYS", "VIT", "Toy", "attached"]

NAMES = {toy.name: toy for toy in TOYS}
HEADS = ("grid-linear", "pooled-mlp")
logits_of = Classification().logits_of


@cache
def live(name: str) -> MultiExit:
    """The toy of that name with two heads at every point; shared, so not to be changed."""
    return attached(NAMES[name].model(), NAMES[name].inputs(2), HEADS)


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


def state_of(model: nn.Module) -> dict[str, Any]:
    """All that a user could notice about a model: tensors, modes, gradient flags, hooks, and who its modules are."""
    return {
        "tensors": {name: tensor.detach().clone() for name, tensor in model.state_dict(keep_vars=True).items()},
        "memory": {name: tensor.data_ptr() for name, tensor in model.state_dict(keep_vars=True).items()},
        "gradients": {name: (p.requires_grad, p.grad is None) for name, p in model.named_parameters()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "modules": {name: id(module) for name, module in model.named_modules()},
        "hooks": {name: _hooks(module) for name, module in model.named_modules()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
    }


def _hooks(module: nn.Module) -> dict[str, list[int]]:
    return {
        name: list(value) for name, value in vars(module).items() if name.endswith(("_hooks", "_hooks_with_kwargs"))
    }


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Fails if anything about the model, or torch's random state, is not as before at the end of the block."""
    before, random = state_of(model), torch.get_rng_state()
    yield
    after = state_of(model)
    torch.testing.assert_close(after.pop("tensors"), before.pop("tensors"), rtol=0, atol=0)
    assert after == before
    torch.testing.assert_close(torch.get_rng_state(), random, rtol=0, atol=0)


def indices(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)
