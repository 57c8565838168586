"""A small model that answers first: built, kept in a bundle, and run."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import torchvision_shim
from safetensors.torch import save_file
from torch import nn

from offramp import deployed, recipes
from offramp.backends import executors
from offramp.bundle import HEADS, MANIFEST, Bundle
from offramp.errors import BundleError, CaptureError, ForeignBackboneError, InputError
from offramp.exporting import export
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import LoadedModel
from offramp.load.small import small_of
from offramp.pipeline import build
from offramp.recipe import Student
from offramp.run.executor import Executor
from offramp.run.loop import Plan, run, stops_of
from offramp.run.pooled import Pooled
from offramp.run.torch_compile import TorchCompiled
from offramp.tune import tune
from tests.builds import RECIPE, bundle
from tests.cascades import CLASSES, SHAPE, Large, Little, Other, Whole, fresh, large, little
from tests.toys import untouched, whole

QUICK: dict[str, Any] = {"recipe": "cascade", "max_drop": 0.1, "timed": ()}
TOLD = ImagePreprocess(mean=(0.2, -0.1, 0.4), std=(0.5, 2.0, 1.0))
"""What the large network is told of its inputs in the test of another preprocessing; the small one is told nothing."""


def inputs(samples: int = 400, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, *SHAPE, generator=torch.Generator().manual_seed(seed))


def made(out: Path, **arguments: Any) -> Bundle:
    model, small = arguments.pop("model", None) or large(), arguments.pop("small", None) or little()
    return build(model, inputs(), out=out, small=small, **(QUICK | arguments))


@cache
def cascade() -> Bundle:
    """One bundle for all tests that do not change it."""
    with tempfile.TemporaryDirectory(prefix="offramp-tests-") as folder:
        return made(Path(folder) / "bundle")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return cascade().save(tmp_path / "bundle")


def by_hand(small: torch.Tensor, backbone: torch.Tensor, threshold: float, temperature: float) -> torch.Tensor:
    """The answers of a two-model cascade, sample by sample."""
    said = []
    for one, other in zip(small, backbone, strict=True):
        confident = float(torch.softmax(one / temperature, 0).max()) >= threshold
        said.append(one if confident else other)
    return torch.stack(said).argmax(1)


def test_a_cascade_is_the_small_model_where_it_is_confident_and_the_backbone_elsewhere(tmp_path: Path) -> None:
    model, small = Large().train(), Little().train()
    with untouched(model), untouched(small):
        built = made(tmp_path / "bundle", model=model, small=small)
    assert [(exit_.point, exit_.head) for exit_ in built.manifest.exits] == [("input", "small")]
    own, plain = (whole(network, inputs(200, 5)) for network in (little(), large()))
    temperature = built.manifest.exits[0].calibration.temperature  # type: ignore[union-attr]
    early = [point for point in built.points if point.configuration.enabled == (True,)]
    assert len(early) > 3
    for point in early:
        expected = by_hand(own, plain, point.configuration.threshold[0], temperature)
        torch.testing.assert_close(built.use(point.name)(inputs(200, 5)).output.argmax(1), expected)


def test_everybody_pays_for_the_small_model_and_the_rest_for_the_backbone() -> None:
    share = 192 * CLASSES / cascade().manifest.model.macs
    for point in (*cascade().points, *cascade().report):
        left = point.exit_share[0]
        assert point.cost == pytest.approx(share + 1.0 - left if point.configuration.enabled[0] else 1.0)
    assert cascade().point("balanced").cost < 0.5


def test_it_learns_nothing_and_runs_the_backbone_over_no_more_than_it_must(tmp_path: Path) -> None:
    seen: set[str] = set()
    made(tmp_path / "bundle", extra_data=[inputs(30, 8)], progress=lambda what, *_: seen.add(what))
    assert {what for what in seen if "over" in what} == {
        f"{who} over {part}" for who in ("backbone", "networks") for part in ("choose", "certify", "report")
    }


def test_what_is_loaded_answers_as_what_was_built_and_needs_the_code_alone(folder: Path) -> None:
    loaded, model, small = Bundle.load(folder), large(), fresh()
    with untouched(model), untouched(small):
        attached = loaded.attach(model, small)
    for point in cascade().points:
        before, after = cascade().use(point.name)(inputs(50, 3)), attached.use(point.name)(inputs(50, 3))
        torch.testing.assert_close(after.output, before.output, rtol=0, atol=0)
        torch.testing.assert_close(after.exit_index, before.exit_index, rtol=0, atol=0)
    again = loaded.use("balanced", large(), small=little())(inputs(50, 3))
    torch.testing.assert_close(again.output, cascade().use("balanced")(inputs(50, 3)).output, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("small", "message"),
    [
        (Other(), "expected the small model Little with fingerprint .*, got Other that has"),
        (
            nn.Linear(192, 4),
            "expected a small model like the Little of the build, got Linear, which its weights do not",
        ),
        (nn.Sequential(), "expected a small model like the Little of the build"),
    ],
)
def test_another_small_model_is_refused(folder: Path, small: nn.Module, message: str) -> None:
    with pytest.raises(ForeignBackboneError, match=message):
        Bundle.load(folder).attach(large(), small)


def test_a_small_model_is_given_where_there_is_one_and_nowhere_else(folder: Path) -> None:
    with pytest.raises(InputError, match=r"expected the small model that answers first, Little, got none; pass small="):
        Bundle.load(folder).attach(large())
    with pytest.raises(InputError, match="built without one; leave small out"):
        bundle().attach(large(), little())
    with pytest.raises(InputError, match="the small model Little of the bundle is the user's own code; name it"):
        small_of(Bundle.load(folder))


def other_weights(folder: Path) -> None:
    heads = dict(cascade().heads)
    name = "0.reduction.network.linear.weight"
    save_file({**heads, name: heads[name] + 1.0}, folder / HEADS)


def lost_weights(folder: Path) -> None:
    save_file({"x": torch.zeros(1)}, folder / HEADS)


def uneven(folder: Path) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    values["exits"][0]["network"]["scale"] = [1.0]
    (folder / MANIFEST).write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_weights, "expected the small model Little with fingerprint"),
        (lost_weights, "(weights do not fit|heads do not fit)"),
        (uneven, "1 scales and 0 shifts"),
    ],
)
def test_damaged_weights_are_one_clear_error(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder).attach(large(), little())


def on(backend: str, folder: Path) -> Executor:
    """The executor of the cascade; what would be compiled runs as it is, since type checks cannot be compiled."""
    live = cascade().live
    if backend == "compile":
        return TorchCompiled(live.multi_exit, live.logits_of, live.gate, live.calibrators, (True,), lambda stage: stage)
    return executors(live, [backend], folder, 1)[backend]((True,))


@pytest.mark.parametrize("backend", ["eager", "compile", "onnx", "openvino"])
def test_it_runs_on_every_back_end(backend: str, tmp_path: Path) -> None:
    if backend in ("onnx", "openvino"):
        pytest.importorskip("onnxruntime" if backend == "onnx" else "openvino")
    configuration, x = cascade().point("balanced").configuration, inputs(60, 3)
    plan = Plan(configuration, stops_of((True,), cascade().live.multi_exit.point_of), on(backend, tmp_path))
    expected = cascade().use("balanced")(x)
    found = run(plan, x if backend in ("eager", "compile") else x.numpy())
    np.testing.assert_array_equal(found.exit_index, expected.exit_index.numpy())
    np.testing.assert_allclose(found.output, expected.output.numpy(), rtol=1e-3, atol=1e-4)
    answers: dict[int, int] = {}
    pool = Pooled(plan, lambda number, _output, exit_, _score: answers.update({number: exit_}), full=7)
    pool.add(x if backend in ("eager", "compile") else x.numpy())
    pool.flush()
    assert [answers[number] for number in range(60)] == found.exit_index.tolist()


def test_another_mean_and_std_are_made_up_for_also_in_exported_stages(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network = little()
    shift, scale = (torch.tensor(values)[:, None, None] for values in (TOLD.mean, TOLD.std))
    model, small = LoadedModel(large(), None, TOLD), LoadedModel(network, "nets.py:little", ImagePreprocess())
    build(model, inputs(), out=tmp_path / "bundle", small=small, **(QUICK | {"max_drop": 0.5}))
    built = Bundle.load(tmp_path / "bundle").attach(large(), fresh())
    point = built.points[-1]
    assert point.configuration.enabled == (True,)
    x = inputs(60, 3)
    outcome = built.use(point.name)(x)
    left = outcome.exit_index == 0
    assert bool(left.any())
    torch.testing.assert_close(outcome.output[left].argmax(1), whole(network, x * scale + shift)[left].argmax(1))
    export(built, tmp_path / "stages", [point.name])
    found = deployed.load(tmp_path / "stages", runtime="onnx", threads=1).use(point.name)(x.numpy())
    np.testing.assert_array_equal(found.exit_index, outcome.exit_index.numpy())
    np.testing.assert_allclose(found.output, outcome.output.numpy(), rtol=1e-3, atol=1e-4)
    assert built.small_weights.keys() == network.state_dict().keys()


def test_any_recipe_can_have_one_in_front_and_the_cascade_exits_behind(tmp_path: Path) -> None:
    built = made(tmp_path / "a", recipe=RECIPE, small=little())
    points = [exit_.point for exit_ in built.manifest.exits]
    assert points[0] == "input"
    assert len(points) > 2
    quick = replace(recipes.recipe("cascade"), augment=RECIPE.augment, schedule=RECIPE.schedule)
    behind = made(tmp_path / "b", recipe=quick, points="deep.1")
    assert [exit_.point for exit_ in behind.manifest.exits] == ["input", "deep.1"]
    loaded = Bundle.load(tmp_path / "b").attach(large(), fresh())
    for point in behind.points:
        before, after = behind.use(point.name)(inputs(40, 3)), loaded.use(point.name)(inputs(40, 3))
        torch.testing.assert_close(after.output, before.output, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        ("cascade", False, "expected a small model for this recipe, which has no exits of its own; pass small="),
        ("student", True, "expected no small model with this recipe, which has a student at the input"),
        ("joint", True, "expected no small model .* or a backbone that learn"),
        ("disjoint", True, "expected no small model .* or a backbone that learn"),
        ("ztw-labelfree", True, "expected no small model .* heads that hear each other"),
        ("jei-dnn", True, "or gates or a backbone that learn with the heads"),
        (replace(RECIPE, students=(Student(),)), True, "expected no small model"),
    ],
)
def test_recipes_say_whether_a_small_model_goes_with_them(
    recipe: Any, given: bool, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        build(large(), inputs(), out=tmp_path / "b", small=little() if given else None, **(QUICK | {"recipe": recipe}))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("small", [None, little()])
def test_weights_of_a_small_model_that_is_not_named_are_refused(small: nn.Module | None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected weights of a small model that is named"):
        build(large(), inputs(), out=tmp_path / "b", recipe=RECIPE, small=small, small_weights="small.pt")


def test_before_a_model_that_can_be_left_nowhere(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot capture"):
        made(tmp_path / "a", model=Whole().eval(), recipe=RECIPE)
    built = made(tmp_path / "b", model=Whole().eval())
    loaded = Bundle.load(tmp_path / "b").attach(Whole().eval(), fresh())
    assert loaded.manifest.model.route == "hooks"
    assert [point.configuration for point in built.points] == [point.configuration for point in cascade().points]
    for name in ("full", "balanced"):
        found, expected = loaded.use(name)(inputs(50, 3)), cascade().use(name)(inputs(50, 3))
        torch.testing.assert_close(found.exit_index, expected.exit_index)
        torch.testing.assert_close(found.output, expected.output)


def test_it_can_be_tuned(folder: Path) -> None:
    from offramp.load.sources import open_source

    live = Bundle.load(folder).attach(large(), little())
    found = tune(live, open_source(inputs(), None), rounds=2)
    assert [exit_.network for exit_ in found.manifest.exits] == [exit_.network for exit_ in cascade().manifest.exits]
    found.save(folder.parent / "tuned")
    again = Bundle.load(folder.parent / "tuned").attach(large(), fresh())
    assert [point.name for point in again.points] == [point.name for point in found.points]


def test_a_library_model_is_loaded_again_with_the_weights_of_the_bundle(tmp_path: Path) -> None:
    torchvision_shim.install()  # timm imports torchvision where there is one
    timm = pytest.importorskip("timm")
    small = timm.create_model("test_resnet", num_classes=CLASSES).eval()
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    made(tmp_path / "b", small="timm:test_resnet", small_weights=tmp_path / "small.safetensors", max_drop=0.9)
    (tmp_path / "small.safetensors").unlink()
    loaded = Bundle.load(tmp_path / "b")
    assert loaded.small is not None
    assert (loaded.small.spec, loaded.small.type) == ("timm:test_resnet", "ResNet")
    found = small_of(loaded)
    assert found is not None
    torch.testing.assert_close(whole(found, inputs(5)), whole(small, inputs(5)), rtol=0, atol=0)
    assert loaded.attach(large(), found).multi_exit is not None
