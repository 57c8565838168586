"""What is checked of one model of the zoo."""

import time
from dataclasses import dataclass, replace

import torch

from benchmarks.zoo.sources import model as zoo_model
from offramp.errors import CaptureError
from offramp.inputs import Inputs, call, select
from offramp.model.backbone import Backbone
from offramp.model.modes import frozen
from offramp.model.points import analyse
from offramp.model.selection import spread
from offramp.reading.answer import answer_of
from offramp.run.choice import driver
from offramp.run.driver import Driver
from offramp.testing.untouched import untouched

CUTS = 3
"""The model is cut in so many places at once."""

BATCHES = (8, 3, 2, 1)
"""Batch sizes; the largest is also shrunk to the others on the way."""

ALIKE = 1e-3
"""Answers that lie less apart than this, relative to the largest, could hide an error."""


@dataclass(frozen=True)
class Row:
    """What was found.

    Attributes:
        name: of the model.
        route: `export`, `hooks`, `refused`, or `failed` where nobody expected it.
        points: legal exit points.
        carried: whether some of them carry other tensors along.
        exact: whether the cut model gives the same bits as the whole one at every batch size.
        error: largest at any batch size, and when the batch shrinks at every cut, relative to the largest value.
        untouched: whether weights, buffers, hooks and modes were the same afterwards.
        seconds: for all of it, building the model not counted.
        reason: of a refusal.
    """

    name: str
    route: str
    points: int = 0
    carried: bool = False
    exact: bool = False
    error: float = 0.0
    untouched: bool = True
    seconds: float = 0.0
    reason: str = ""


def check(name: str) -> Row:
    """The row of a model."""
    model, draw = zoo_model(name)
    start = time.perf_counter()
    route = "export"
    try:
        with untouched(model):
            backbone = analyse(model, draw(2), answer_of)
            route = "export" if backbone.graph is not None else "hooks"
            found = _left(name, route, backbone, draw(max(BATCHES)))
    except CaptureError as error:
        found = Row(name, "refused", reason=str(error))
    except AssertionError as error:
        found = Row(
            name, route, untouched=False, reason=next(iter(str(error).splitlines()), "something is not as it was")
        )
    except Exception as error:
        found = Row(name, "failed", reason=f"{type(error).__name__}: {error}")
    return replace(found, seconds=round(time.perf_counter() - start, 1))


def _left(name: str, route: str, backbone: Backbone, inputs: Inputs) -> Row:
    points = spread(backbone.points, CUTS)
    runs = driver(backbone, [point.name for point in points], answer_of)
    exact, worst = True, 0.0
    with frozen(backbone.model):
        whole = answer_of(call(backbone.model, inputs))
        if not (whole - whole.mean(dim=0)).abs().max() > ALIKE * whole.abs().max():
            raise ValueError(f"{type(backbone.model).__name__} answers every sample alike, so that nothing can be seen")
        for size in BATCHES:
            part = select(inputs, torch.arange(size))
            found = _driven(runs, part, {})
            exact &= torch.equal(found, answer_of(call(backbone.model, part)))
            worst = max(worst, _error(found, whole[:size]))
        shrinking = dict(enumerate(BATCHES[1:]))
        worst = max(worst, _error(_driven(runs, inputs, shrinking), whole[: BATCHES[len(points)]]))
    carried = any(point.side_values for point in backbone.points)
    return Row(name, route, len(backbone.points), carried, exact, worst)


def _driven(runs: Driver, inputs: Inputs, sizes: dict[int, int]) -> torch.Tensor:
    """The answer of the model with stops; at each stop in `sizes` only so many samples stay."""

    def stop(point: int, _feature: torch.Tensor) -> torch.Tensor | None:
        return torch.arange(sizes[point]) if point in sizes else None

    answer = runs.drive(inputs, stop)
    assert answer is not None
    return answer.logits


def _error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())
