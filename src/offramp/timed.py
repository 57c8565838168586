"""Measured time of operating points against the plain model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from offramp.bundle import Bundle
from offramp.inputs import Inputs, call
from offramp.model.modes import frozen
from offramp.progress import Progress
from offramp.reading import reader
from offramp.run.model import EarlyExitModel
from offramp.run.timing import interleaved, settled
from offramp.sources import Source
from offramp.types import OperatingPoint

PLAIN = ""
"""Name of the plain backbone among the contestants of a timing; no operating point has it."""

ROUNDS = 5
"""Rounds of a timing, each on other inputs."""

SECONDS = 60.0
"""About how long timing at one batch size may take; beyond it a round has fewer batches, at least one."""


def times(
    bundle: Bundle,
    source: Source,
    chosen: Sequence[OperatingPoint],
    batch_sizes: Sequence[int],
    samples: int,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Time ratio by operating point and batch size, measured on the real inputs through the real run loop."""
    found: dict[str, dict[str, float]] = {point.name: {} for point in chosen}
    if not batch_sizes or not chosen or bundle.multi_exit is None:
        return found
    model, logits_of = bundle.multi_exit.backbone.model, reader(bundle.task)
    fast = bundle.use(chosen[0].name)
    contestants: dict[str, Callable[[Inputs], Any]] = {PLAIN: lambda inputs: logits_of(call(model, inputs)).cpu()}
    for point in chosen:
        contestants[point.name] = _at(fast, point.name)
    generator = np.random.default_rng(0)
    for done, size in enumerate(batch_sizes):
        with frozen(model):
            affordable = SECONDS / (ROUNDS * len(contestants) * _once(model, _round(source, size, size, generator)[0]))
        rounds = [_round(source, size, min(samples, int(affordable * size)), generator) for _ in range(ROUNDS)]
        with frozen(model):
            timing = interleaved(contestants, rounds)
        for point in chosen:
            found[point.name][str(size)] = timing.ratio(point.name, PLAIN)
        progress("measuring time", done + 1, len(batch_sizes))
    return found


def _once(model: nn.Module, batch: Inputs) -> float:
    """Seconds of the plain backbone on a batch, the second time."""
    call(model, batch)
    start = settled()
    call(model, batch)
    return settled() - start


def _at(fast: EarlyExitModel, name: str) -> Callable[[Inputs], Any]:
    def run(inputs: Inputs) -> Any:
        return fast.use(name)(inputs)

    return run


def _round(source: Source, size: int, samples: int, generator: np.random.Generator) -> list[Inputs]:
    """Random batches of `size` that make up about `samples` samples."""
    count = max(1, samples // size)
    size = min(size, len(source))
    return [source.inputs(generator.choice(len(source), size, replace=False)) for _ in range(count)]
