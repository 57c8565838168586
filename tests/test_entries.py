import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from offramp.calibrate import NAMES as CALIBRATORS
from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.each_temperature import EachTemperature
from offramp.calibrate.identity import Identity
from offramp.calibrate.spread import Spread
from offramp.calibrate.temperature import Temperature
from offramp.calibration_entries import calibrator
from offramp.entries import (
    cost_entry,
    example_inputs,
    exit_entry,
    gate_entry,
    gate_of,
    head_of,
    input_entries,
    operating_entry,
    operating_point,
    point_entry,
)
from offramp.errors import InputError
from offramp.gates.max_prob import MaxProb
from offramp.heads import NAMES
from offramp.heads.head import HeadType
from offramp.heads.reduction import Attend, Global, Grid, Reduction
from offramp.inputs import leaves
from offramp.manifest import ExitEntry, GateEntry, OperatingEntry, PointEntry, StemEntry
from offramp.types import Bound, Configuration, CostProfile, Exit, ExitPoint, OperatingPoint
from tests.scorers import SCORERS
from tests.toys import NAMES as TOYS
from tests.toys import logits_of, whole

NUMBERS = st.floats(-1e6, 1e6)


BOUNDS = st.sampled_from([None, Bound("error", 0.01, 0.1, "exact", 500), Bound("gap", 0.01, None, "conformal", 500)])


@given(st.lists(st.tuples(st.booleans(), NUMBERS), max_size=5), NUMBERS, BOUNDS)
def test_operating_points_come_back_as_they_went(
    exits: list[tuple[bool, float]], loss: float, bound: Bound | None
) -> None:
    point = OperatingPoint(
        "fast",
        Configuration(tuple(on for on, _ in exits), tuple(t for _, t in exits)),
        loss,
        0.5,
        (1.0 / (len(exits) + 1),) * (len(exits) + 1),
        "choose",
        bound,
    )
    text = operating_entry(point).model_dump_json()
    assert operating_point(OperatingEntry.model_validate_json(text)) == point


def test_points_and_costs_come_back_as_they_went() -> None:
    point = ExitPoint("blocks.1", 3, (8, 4, 4), 0.37, ("mask",))
    entry = PointEntry.model_validate_json(point_entry(point).model_dump_json())
    assert ExitPoint(**entry.model_dump()) == point
    cost = CostProfile("macs", np.array([1.0, 3.0]), np.array([0.5, 0.0]), np.array([0.1, 0.0]))
    found = cost_entry(cost)
    assert (found.upto, found.head, found.gate) == ((1.0, 3.0), (0.5, 0.0), (0.1, 0.0))
    assert (found.unit, found.device, found.batch_size) == ("macs", "cpu", 1)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_head_can_be_built_again_from_its_entry(name: str) -> None:
    entry = exit_entry(Exit("layer1", name), NAMES[name], Temperature(1.5))
    read = ExitEntry.model_validate_json(entry.model_dump_json())
    assert head_of(read) == NAMES[name]
    assert (read.point, read.head, calibrator(read.calibration)) == ("layer1", name, Temperature(1.5))


@pytest.mark.parametrize("name", sorted(set(CALIBRATORS) - {"each-temperature", "spread"}))
@pytest.mark.parametrize("fitted", [True, False])
def test_a_calibrator_comes_back_from_its_entry(name: str, fitted: bool) -> None:
    made = CALIBRATORS[name]()
    logits = np.random.default_rng(0).normal(size=(300, 5)) * 4.0
    if fitted:
        made = made.fit(logits, (logits + np.random.default_rng(1).normal(size=logits.shape) * 4).argmax(axis=1))
    entry = exit_entry(Exit("layer1", "grid-mlp"), NAMES["grid-mlp"], made)
    read = ExitEntry.model_validate_json(entry.model_dump_json())
    assert read.calibration.kind == name
    assert calibrator(read.calibration) == made
    np.testing.assert_array_equal(calibrator(read.calibration)(logits), made(logits))


@pytest.mark.parametrize("made", [Spread(), Spread((0.5, 1e3)), EachTemperature().fit(np.eye(3), np.eye(3))])
def test_calibrators_of_other_tasks_come_back_from_their_entries(made: Calibrator) -> None:
    entry = exit_entry(Exit("layer1", "grid-mlp"), NAMES["grid-mlp"], made)
    assert calibrator(ExitEntry.model_validate_json(entry.model_dump_json()).calibration) == made


def test_calibrators_that_a_manifest_cannot_name_are_refused() -> None:
    class Other:
        def fit(self, logits: np.ndarray, target: np.ndarray) -> "Other":
            return self

        def __call__(self, logits: object) -> object:
            return logits

    with pytest.raises(InputError, match=r"a manifest can name \(none, temperature, vector, isotonic, spread\)"):
        exit_entry(Exit("layer1", "grid-mlp"), NAMES["grid-mlp"], Other())


def test_reductions_that_a_manifest_cannot_name_are_refused() -> None:
    class Mine:
        name = "mine"
        turned = False

        def __call__(self, feature: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return feature.flatten(1)

    assert head_of(exit_entry(Exit("a", "b"), HeadType(Grid(3)), Identity())).reduction == Grid(3)
    some: tuple[Reduction, ...] = (Global(), Attend(5))
    for one in some:
        assert head_of(exit_entry(Exit("a", "b"), HeadType(one), Identity())).reduction == one
    with pytest.raises(InputError, match=r"a manifest can name \(grid, attend, global, extremes, whole\)"):
        exit_entry(Exit("a", "b"), HeadType(Mine()), Identity())


@pytest.mark.parametrize("name", sorted(TOYS))
def test_made_up_inputs_have_the_shapes_types_and_names_of_the_recorded_ones(name: str) -> None:
    toy = TOYS[name]
    made, real = example_inputs(input_entries(toy.inputs(4)), batch=3), toy.inputs(3)
    assert type(made) is type(real)
    assert [(t.shape, t.dtype) for t in leaves(made)] == [(t.shape, t.dtype) for t in leaves(real)]
    if isinstance(made, dict):
        assert list(made) == list(real)
    assert whole(toy.model(), made).shape == (3, 5)
    again = example_inputs(input_entries(toy.inputs(4)), batch=3)
    torch.testing.assert_close(leaves(made), leaves(again), rtol=0, atol=0)
    assert logits_of(whole(toy.model(), made)).isfinite().all()


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_gates_come_back_with_their_weights(name: str) -> None:
    entry = gate_entry(SCORERS[name])
    assert gate_of(GateEntry.model_validate_json(entry.model_dump_json())) == SCORERS[name]
    assert entry.kind == name


def test_a_gate_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="expected a gate that a manifest can name"):
        gate_entry(MaxProb(rule="patience"))


@pytest.mark.parametrize(("kind", "layers"), [("filter", []), ("mixed", [[1, 2, 3]]), ("convolutions", [])])
def test_stems_with_other_layers_than_theirs_are_refused(kind: str, layers: list[list[int]]) -> None:
    with pytest.raises(ValidationError, match="has other layers than"):
        StemEntry.model_validate({"kind": kind, "layers": layers})
