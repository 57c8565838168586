import pytest
import torch
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.run.allocations import allocated
from offramp.run.choice import executor
from offramp.run.loop import Plan, run, stops_of
from offramp.tasks.classification import Classification
from offramp.testing.models import attached
from offramp.types import Configuration

FLOAT = 4


def two_linear_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10))


@pytest.mark.parametrize("sizes", [[1], [8], [5, 3]])
def test_two_linear_layers_allocate_what_they_output(sizes: list[int]) -> None:
    model, batches = two_linear_layers(), [torch.randn(size, 16) for size in sizes]
    with torch.no_grad():
        assert allocated(model, batches) == sum(sizes) * (64 + 64 + 10) * FLOAT


def test_what_is_freed_and_allocated_again_counts_again() -> None:
    def run_(batch: torch.Tensor) -> None:
        for _ in range(3):
            batch.clone()

    assert allocated(run_, [torch.zeros(100)]) == 3 * 100 * FLOAT


def test_what_is_changed_in_place_is_not_allocated() -> None:
    assert allocated(torch.Tensor.relu_, [torch.zeros(100)]) == 0


@pytest.fixture(scope="module")
def wide() -> MultiExit:
    """Four wide layers, which can be left behind the first ones for little."""
    layers = [nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    return attached(nn.Sequential(*layers, nn.Linear(256, 5)), torch.randn(2, 16))


def plan(model: MultiExit, on: str | None, threshold: float) -> Plan:
    enabled = tuple(exit_.point == on for exit_ in model.exits)
    configuration = Configuration(enabled, (threshold,) * len(enabled))
    calibrators = [Identity()] * len(enabled)
    made = executor(model, reader(Classification()), MaxProb(), calibrators, enabled)
    return Plan(configuration, stops_of(enabled, model.point_of), made)


def test_those_who_leave_at_the_first_exit_allocate_no_more_than_that(wide: MultiExit) -> None:
    batch = torch.randn(8, 16)

    def found(on: str | None, threshold: float) -> int:
        asked = plan(wide, on, threshold)
        return allocated(lambda inputs: run(asked, inputs), [batch])

    answer = 5 + 5 + 1  # logits, their softmax, the score
    leaving, staying, uncut = found("1", 0.0), found("1", 2.0), found(None, 0.0)
    assert leaving == 8 * FLOAT * (256 + 256 + answer)
    assert uncut == 8 * FLOAT * (6 * 256 + answer)
    assert staying == uncut + 8 * FLOAT * answer
