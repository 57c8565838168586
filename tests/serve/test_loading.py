"""What is served from a folder of stages answers as the bundle that it was exported from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.errors import InputError, UnknownNameError
from offramp.exporting import inputs_of
from offramp.model.points import analyse
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Wish
from offramp.serve.loading import from_bundle, from_stages
from tests.builds import images
from tests.exports import distinct, exported
from tests.serve.world import SAMPLES, Ears, exits, served
from tests.toys import logits_of

POINTS = ("early", "sooner", "full")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("stages") / "toy", POINTS)


def answered(made: Deployment, point: str) -> tuple[list[int], np.ndarray]:
    with served(made) as (endpoint, _):
        ears = Ears()
        endpoint.ask({made.inputs[0].name: images(SAMPLES, 5).numpy()}, Wish(point), ears)
        found = ears.finals(SAMPLES)
    return exits(found), np.stack([one.logits for one in found])  # type: ignore[union-attr]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("backend", ["eager", "onnx", "stages"])
def test_it_answers_as_the_bundle_whatever_it_runs_on(stages: Path, backend: str, point: str, tmp_path: Path) -> None:
    made = from_stages(stages) if backend == "stages" else from_bundle(distinct(), backend, tmp_path, "toy")
    expected = distinct().use(point)(images(SAMPLES, 5))
    index, logits = answered(made, point)
    assert index == expected.exit_index.tolist()
    np.testing.assert_allclose(logits, expected.output.numpy(), rtol=1e-3, atol=1e-4)
    assert len(made.exits) == len(set(made.exits)) == len(distinct().manifest.exits) + 1


def test_costs_are_the_same_from_the_bundle_and_from_its_stages(stages: Path, tmp_path: Path) -> None:
    apart, whole = from_stages(stages), from_bundle(distinct(), "eager", tmp_path, "toy")
    for name, point in apart.points.items():
        assert (point.cost, point.leaving) == (whole.points[name].cost, whole.points[name].leaving)
        assert point.leaving is not None
        assert sorted(point.leaving) == list(point.leaving)
    assert apart.points["early"].leaving[-1] > 1.0, "the heads come on top"  # type: ignore[index]


def test_exits_of_points_must_be_those_of_one_of_them_where_stages_are_given(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exits of all others"):
        from_stages(exported(tmp_path / "toy"))
    made = from_bundle(distinct(), "eager", tmp_path, "toy")
    assert answered(made, "late")[0] == distinct().use("late")(images(SAMPLES, 5)).exit_index.tolist()


def test_unknown_points_and_runtimes_are_refused(stages: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="runtime"):
        from_stages(stages, "magic")
    with pytest.raises(UnknownNameError, match="back end"):
        from_bundle(distinct(), "magic", tmp_path, "toy")


def test_a_size_that_weights_fix_is_told_so_that_a_request_of_another_one_is_refused() -> None:
    """A table's features were told as an open size, and what did not fit failed in the model with 500."""
    net = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
    assert [one["shape"] for one in inputs_of(analyse(net, torch.zeros(2, 16), logits_of))] == [[16]]
