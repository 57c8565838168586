"""Hypothesis strategies for tables and configurations: small, with integer costs and plenty of ties."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st

from offramp.types import Configuration, CostProfile, ExitTable

SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9, 1.0])


@st.composite
def tables(
    draw: st.DrawFn,
    max_exits: int = 5,
    max_samples: int = 8,
    *,
    binary: bool = True,
    disagreement: bool = False,
) -> ExitTable:
    exits = draw(st.integers(1, max_exits))
    samples = draw(st.integers(1, max_samples))
    losses = st.sampled_from([0.0, 1.0]) if binary else st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
    cells = exits * samples
    score = np.array(draw(st.lists(SCORES, min_size=cells, max_size=cells))).reshape(exits, samples)
    loss = np.array(draw(st.lists(losses, min_size=cells, max_size=cells))).reshape(exits, samples)
    if disagreement:
        loss[-1] = 0.0
    steps = draw(st.lists(st.integers(0, 50), min_size=exits, max_size=exits))
    upto = np.cumsum(np.array(steps, dtype=np.float64))
    upto[-1] += 1.0
    cost = CostProfile("macs", upto, _costs(draw, exits), _costs(draw, exits))
    return ExitTable(score, loss, cost, "choose", "disagreement" if disagreement else "error")


def _costs(draw: st.DrawFn, exits: int) -> np.ndarray:
    inner = draw(st.lists(st.integers(0, 20), min_size=exits - 1, max_size=exits - 1))
    return np.array([*inner, 0], dtype=np.float64)


@st.composite
def configurations(draw: st.DrawFn, inner: int) -> Configuration:
    enabled = draw(st.lists(st.booleans(), min_size=inner, max_size=inner))
    threshold = draw(st.lists(SCORES, min_size=inner, max_size=inner))
    with _random_untouched():
        return Configuration(tuple(enabled), tuple(threshold))


@contextmanager
def _random_untouched() -> Iterator[None]:
    """Beartype picks the item of a tuple to check with `random`, which Hypothesis forbids in strategies."""
    state = random.getstate()
    yield
    random.setstate(state)


@st.composite
def cases(
    draw: st.DrawFn, max_exits: int = 5, *, binary: bool = True, disagreement: bool = False
) -> tuple[ExitTable, Configuration]:
    """A table with a configuration that fits it."""
    table = draw(tables(max_exits, binary=binary, disagreement=disagreement))
    return table, draw(configurations(table.exits - 1))
