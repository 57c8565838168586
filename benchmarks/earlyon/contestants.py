"""Who is timed: the plain model, offramp on its back ends, and earlyon in its two modes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.earlyon.peer import enabled_at, wrapped
from offramp.backends import executors
from offramp.bundle import Bundle
from offramp.run.loop import Outcome
from offramp.run.model import EarlyExitModel
from offramp.types import Configuration

PLAIN = "plain"
"""The name of the plain model among contestants and operating points."""

EAGER = "eager"
OFFRAMP, ROUTER, BATCHED = "offramp", "earlyon, one at a time", "earlyon, batched"


@dataclass(frozen=True, eq=False)
class Answers:
    """What a contestant said about a batch.

    Attributes:
        exit_index: number of the exit of the bundle that answered, the backbone last.
        classes: the class that it named.
        score: its confidence.
    """

    exit_index: np.ndarray
    classes: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Contestant:
    """Somebody who answers batches.

    Attributes:
        who: `plain`, `offramp`, or earlyon in one of its modes.
        on: the back end.
        point: the operating point, or `plain`.
        run: what is timed, called with images (B, C, H, W).
        read: the answers in what it returned; not timed.
    """

    who: str
    on: str
    point: str
    run: Callable[[torch.Tensor], Any]
    read: Callable[[Any], Answers]

    @property
    def name(self) -> str:
        """Unique among contestants."""
        return f"{self.point}: {self.who} on {self.on}"


def plain(model: nn.Module, exits: int) -> Contestant:
    """The model as a user would run it: in eval mode, and in inference mode, as earlyon does."""

    @torch.inference_mode()
    def run(batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(batch)
        return logits

    def read(logits: torch.Tensor) -> Answers:
        score = logits.softmax(dim=1).amax(dim=1).numpy()
        return Answers(np.full(len(logits), exits), logits.argmax(dim=1).numpy(), score)

    return Contestant(PLAIN, EAGER, PLAIN, run, read)


def ours(
    bundle: Bundle, backends: Sequence[str], points: Sequence[str], folder: Path, threads: int
) -> list[Contestant]:
    """Ours: offramp at each point, on each back end; on all but eager PyTorch the plain model, too."""
    live = bundle.multi_exit
    assert live is not None
    configurations = {name: bundle.point(name).configuration for name in points}
    configurations[PLAIN] = Configuration.full(len(live.exits))
    found = []
    for on, make in executors(bundle.live, backends, folder, threads).items():
        model = EarlyExitModel(make, configurations, live.point_of, PLAIN)
        for point in (PLAIN, *points):
            if (on, point) != (EAGER, PLAIN):
                who = PLAIN if point == PLAIN else OFFRAMP
                found.append(Contestant(who, on, point, _at(model, point), _outcome))
    return found


def _at(model: EarlyExitModel, point: str) -> Callable[[torch.Tensor], Outcome]:
    def run(batch: torch.Tensor) -> Outcome:
        return model.use(point)(batch)

    return run


def _outcome(outcome: Outcome) -> Answers:
    return Answers(outcome.exit_index, outcome.output.argmax(axis=1), outcome.score)


def theirs(bundle: Bundle, points: Sequence[str], batched: bool) -> list[Contestant]:
    """Theirs: earlyon at each point: its router for single samples, and its mode for batches if wanted."""
    found = []
    for point in points:
        wrapper = wrapped(bundle, point)
        exits = np.array([*enabled_at(bundle, point), len(bundle.manifest.exits)])  # -1, the last: the whole model
        found.append(Contestant(ROUTER, EAGER, point, _router(wrapper), partial(_single, exits)))
        if batched:
            run = wrapper.forward_inference_batched
            found.append(Contestant(BATCHED, EAGER, point, run, partial(_batch, exits)))
    return found


def _router(wrapper: Any) -> Callable[[torch.Tensor], list[Any]]:
    def run(batch: torch.Tensor) -> list[Any]:
        return [wrapper(sample, mode="inference") for sample in torch.split(batch, 1)]

    return run


def _single(exits: np.ndarray, results: list[Any]) -> Answers:
    classes = [int(result.prediction.argmax()) for result in results]
    scores = [result.confidence for result in results]
    return Answers(exits[[result.exit_taken for result in results]], np.array(classes), np.array(scores))


def _batch(exits: np.ndarray, result: Any) -> Answers:
    classes = result.predictions.argmax(dim=1).numpy()
    return Answers(np.full(len(classes), exits[result.exit_taken]), classes, result.per_sample_confidence.numpy())
