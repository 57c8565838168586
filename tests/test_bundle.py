import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from offramp.bundle import HEADS, MANIFEST, SPLITS, Bundle
from offramp.calibrate.identity import Identity
from offramp.errors import BundleError, ForeignBackboneError, InputError, UnknownNameError
from offramp.manifest import SCHEMA_VERSION
from offramp.testing.models import ResidualCNN
from tests.builds import RECIPE, bundle, images, make
from tests.toys import CNN, MLP, untouched, whole


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle().save(tmp_path_factory.mktemp("saved") / "bundle")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def names() -> list[str]:
    return [point.name for point in bundle().points]


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_what_is_loaded_answers_as_what_was_saved_bit_for_bit(saved: Path, batch: int) -> None:
    loaded, inputs = Bundle.load(saved), images(batch, seed=8)
    fresh = loaded.use("full", CNN.model())
    for name in [*names(), *bundle().manifest.aliases]:
        before, after = bundle().use(name)(inputs), fresh.use(name)(inputs)
        torch.testing.assert_close(after.output, before.output, rtol=0, atol=0)
        torch.testing.assert_close(after.exit_index, before.exit_index, rtol=0, atol=0)
        torch.testing.assert_close(after.score, before.score, rtol=0, atol=0)


def test_everything_in_it_comes_back(saved: Path) -> None:
    loaded = Bundle.load(saved)
    assert loaded.manifest.model_dump_json() == bundle().manifest.model_dump_json()
    assert (loaded.points, loaded.report, loaded.calibrators) == (
        bundle().points,
        bundle().report,
        bundle().calibrators,
    )
    torch.testing.assert_close(dict(loaded.heads), dict(bundle().heads), rtol=0, atol=0)
    for part, indices in bundle().splits.items():
        np.testing.assert_array_equal(loaded.splits[part], indices)
    for field in ("upto", "head", "gate"):
        np.testing.assert_array_equal(getattr(loaded.cost, field), getattr(bundle().cost, field))
    assert loaded.front.points == bundle().front.points
    assert sorted(path.name for path in saved.iterdir()) == sorted([MANIFEST, HEADS, SPLITS])


def test_outcomes_of_different_exits_are_in_it() -> None:
    """Otherwise the tests here would compare the backbone with itself."""
    found = bundle().use("fastest")(images(40, seed=8))
    assert len(set(found.exit_index.tolist())) > 1


def test_full_is_the_backbone_bit_for_bit() -> None:
    inputs, model = images(9, seed=3), CNN.model()
    found = bundle().use("full", model)(inputs)
    torch.testing.assert_close(found.output, whole(model, inputs), rtol=0, atol=0)


def test_attaching_and_running_leave_the_model_alone() -> None:
    model = CNN.model().train()
    with untouched(model):
        fast = bundle().use(names()[-1], model)
        fast(images(9))
        fast.use("full")(images(9))


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_pickle(folder: Path) -> None:
    (folder / HEADS).write_bytes(pickle.dumps(Trap(folder / "trapped")))


def as_torch_file(folder: Path) -> None:
    torch.save({"0.net.0.weight": Trap(folder / "trapped")}, folder / HEADS)


def cut_short(folder: Path) -> None:
    (folder / HEADS).write_bytes((folder / HEADS).read_bytes()[:-100])


def empty(folder: Path) -> None:
    (folder / HEADS).write_bytes(b"")


def missing(folder: Path) -> None:
    (folder / HEADS).unlink()


def without_splits(folder: Path) -> None:
    (folder / SPLITS).unlink()


def other_shapes(folder: Path) -> None:
    heads = load_file(folder / HEADS)
    heads["0.net.0.weight"] = heads["0.net.0.weight"][:, :-1].contiguous()
    save_file(heads, folder / HEADS)


def fewer_heads(folder: Path) -> None:
    heads = {name: tensor for name, tensor in load_file(folder / HEADS).items() if not name.startswith("0.")}
    save_file(heads, folder / HEADS)


def more_heads(folder: Path) -> None:
    save_file(load_file(folder / HEADS) | {"99.weight": torch.zeros(2)}, folder / HEADS)


def fewer_parts(folder: Path) -> None:
    splits = load_file(folder / SPLITS)
    del splits["report"]
    save_file(splits, folder / SPLITS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (as_pickle, "cannot read the tensors"),
        (as_torch_file, "cannot read the tensors"),
        (cut_short, "cannot read the tensors"),
        (empty, "cannot read the tensors"),
        (missing, "cannot read the tensors"),
        (without_splits, "cannot read the tensors"),
        (other_shapes, "the heads do not fit the manifest"),
        (fewer_heads, "the heads do not fit the manifest"),
        (more_heads, "the heads do not fit the manifest"),
        (fewer_parts, "got no report"),
    ],
)
def test_damaged_tensors_are_one_clear_error_and_run_no_code(
    damage: Callable[[Path], None], message: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)
    assert not (folder / "trapped").exists()


def put(values: Any, path: str, value: Any) -> None:
    """Sets `values[a][b]…` for the path `a.b…`; removes it where the value is `...`."""
    *parents, last = path.split(".")
    for key in parents:
        values = values[int(key)] if isinstance(values, list) else values[key]
    index: Any = int(last) if isinstance(values, list) else last
    if value is ...:
        del values[index]
    else:
        values[index] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 4),
        ("schema_version", 0),
        ("schema_version", ...),
        ("schema_version", None),
        ("extra", 1),
        ("model.extra", "x"),
        ("exits.0.code", "print()"),
        ("model", ...),
        ("model.classes", -1),
        ("model.classes", 7),
        ("model.classes", "many"),
        ("model.task", "mind-reading"),
        ("gate", "guess"),
        ("exits.0.point", "nowhere"),
        ("exits.0", ...),
        ("exits.0.reduction.kind", "__import__('os')"),
        ("exits.0.reduction.size", 0),
        ("exits.0.hidden", [10**9, 10**9]),
        ("exits.0.calibration.temperature", 0.0),
        ("exits.0.calibration.kind", "magic"),
        ("exits.0.calibration.kind", "none"),
        ("exits.0.calibration", None),
        ("exits.0.calibration", {"kind": "vector", "scale": [1.0] * 4, "bias": [0.0] * 4}),
        ("exits.0.calibration", {"kind": "vector", "scale": [1.0] * 5, "bias": [0.0]}),
        ("exits.0.calibration", {"kind": "vector", "scale": [-1.0] * 5, "bias": [0.0] * 5}),
        ("exits.0.calibration", {"kind": "isotonic", "odds": [1.0, 0.0], "probability": [0.5, 0.6]}),
        ("exits.0.calibration", {"kind": "isotonic", "odds": [0.0, 1.0], "probability": [0.6, 0.5]}),
        ("exits.0.calibration", {"kind": "isotonic", "odds": [0.0, 1.0], "probability": [0.5]}),
        ("exits.0.calibration", {"kind": "isotonic", "odds": [0.0], "probability": [1.0]}),
        ("points.0.feature_shape", [0]),
        ("points.0.feature_shape", [-3]),
        ("points.0", ...),
        ("operating_points.0.enabled", [True]),
        ("operating_points.0.threshold", [0.5]),
        ("operating_points.1.threshold.0", float("nan")),
        ("report.0.exit_share", []),
        ("costs", []),
        ("costs.0.upto", [1.0]),
        ("costs.0.upto.0", -1.0),
        ("costs.0.unit", "s"),
        ("inputs.0.dtype", "load"),
        ("inputs.0.shape", [-1]),
        ("aliases", {"balanced": "nowhere"}),
    ],
)
def test_manifests_that_make_no_sense_are_one_clear_error(path: str, value: Any, folder: Path) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    put(values, path, value)
    (folder / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"build the bundle again|do not fit the manifest"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '{"schema_version": 1}',
        '{"schema_version": 1, "exits": 1}',
        '{"schema_version": 1, "exits": [1]}',
        '{"schema_version": 2}',
        '{"schema_version": 3}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_manifests_that_are_none_are_one_clear_error(content: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(BundleError, match="build the bundle again"):
        Bundle.load(folder)


def test_bytes_that_are_no_text_and_folders_that_are_no_bundle(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="cannot read"):
        Bundle.load(folder)
    with pytest.raises(BundleError, match=r"expected a bundle with manifest.json"):
        Bundle.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError):
        Bundle.load(tmp_path / "file")


def other_weights() -> nn.Module:
    model = CNN.model()
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-3
    return model


@pytest.mark.parametrize("model", [other_weights(), CNN.model(seed=1), MLP.model(), nn.Linear(2, 2)])
def test_another_backbone_is_refused_and_left_alone(saved: Path, model: nn.Module) -> None:
    model.train()
    with untouched(model), pytest.raises(ForeignBackboneError, match="expected the ResidualCNN with fingerprint"):
        Bundle.load(saved).use("full", model)


def test_without_a_backbone_it_says_what_to_do(saved: Path) -> None:
    with pytest.raises(InputError, match="pass model=, or call attach"):
        Bundle.load(saved).use("full")


def test_unknown_points_are_refused_by_name(saved: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"expected an operating point among full, .*; got 'slow'"):
        Bundle.load(saved).use("slow", CNN.model())


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="cannot write the bundle to"):
        bundle().save(tmp_path / "file" / "bundle")


def test_saving_over_a_bundle_replaces_all_of_it(tmp_path: Path) -> None:
    other = make(tmp_path / "bundle", seed=5)
    assert other.manifest != bundle().manifest
    bundle().save(tmp_path / "bundle")
    found = Bundle.load(tmp_path / "bundle").manifest
    assert found.model_dump_json() == bundle().manifest.model_dump_json()
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == sorted([MANIFEST, HEADS, SPLITS])


class Peeking(ResidualCNN):
    """Looks at the values of its inputs, so that it cannot be exported, and refuses made-up ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.abs().max()) == 0:
            raise ValueError("no picture")
        return super().forward(x)


def peeking() -> torch.nn.Module:
    model = Peeking().eval()
    model.load_state_dict(CNN.model().state_dict())
    return model


def test_a_model_that_is_left_by_hooks_has_a_bundle_like_any_other(tmp_path: Path) -> None:
    built = make(tmp_path / "a", model=peeking(), timed=(4,))
    assert built.manifest.model.route == "hooks"
    assert [cost.unit for cost in built.costs] == ["macs", "s"]
    loaded = Bundle.load(tmp_path / "a")
    inputs = images(30, seed=3)
    for point in built.points:
        mine, read = built.use(point.name)(inputs), loaded.use(point.name, peeking())(inputs)
        torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)
        torch.testing.assert_close(read.exit_index, mine.exit_index)
    assert set(built.use(built.points[-1].name)(inputs).exit_index.tolist()) != {len(built.manifest.exits)}


def of_version_1(values: dict[str, Any], temperatures: list[float | None]) -> dict[str, Any]:
    """A manifest as version 1 had it."""
    values["schema_version"] = 1
    del values["trained"]
    for entry, temperature in zip(values["exits"], temperatures, strict=True):
        del entry["calibration"]
        entry["temperature"] = temperature
    return values


def test_manifests_of_version_1_are_read_and_written_as_the_present_one(folder: Path, tmp_path: Path) -> None:
    values, inner = json.loads((folder / MANIFEST).read_text()), len(bundle().manifest.exits)
    assert values["schema_version"] == SCHEMA_VERSION
    temperatures = [entry["calibration"]["temperature"] for entry in values["exits"]]
    (folder / MANIFEST).write_text(json.dumps(of_version_1(values, temperatures)))
    loaded, inputs = Bundle.load(folder), images(40, seed=8)
    assert loaded.manifest.model_dump_json() == bundle().manifest.model_dump_json()
    fast, before = loaded.use("fastest", CNN.model()), bundle().use("fastest")
    torch.testing.assert_close(fast(inputs).output, before(inputs).output, rtol=0, atol=0)
    loaded.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / MANIFEST).read_text())["schema_version"] == SCHEMA_VERSION
    uncalibrated: list[float | None] = [None, *temperatures[1:]]
    values = json.loads((tmp_path / "again" / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(of_version_1(values, uncalibrated)))
    assert Bundle.load(folder).calibrators == (Identity(), *bundle().calibrators[1:])
    assert len(temperatures) == inner


@pytest.mark.parametrize("bad", [0.0, "hot", [1.0]])
def test_a_manifest_of_version_1_that_makes_no_sense_is_refused(folder: Path, bad: Any) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(of_version_1(values, [bad] * len(values["exits"]))))
    with pytest.raises(BundleError, match=r"exits.0.calibration.*build the bundle again"):
        Bundle.load(folder)


@pytest.mark.parametrize("calibrator", ["none", "vector", "isotonic"])
def test_every_calibrator_is_built_stored_and_run(calibrator: str, tmp_path: Path) -> None:
    """Runtime = replay also where calibration changes the class."""
    built = make(tmp_path / "bundle", recipe=replace(RECIPE, calibrator=calibrator))
    loaded = Bundle.load(tmp_path / "bundle")
    kinds = {entry.calibration.kind for entry in loaded.manifest.exits}
    assert kinds == {calibrator}
    assert loaded.calibrators == built.calibrators
    fast = loaded.attach(CNN.model())
    own = images()[built.splits["report"]]
    plain = whole(CNN.model(), own).argmax(1)
    for point, report in zip(built.points, built.report, strict=True):
        outcome = fast.use(point.name)(own)
        differs = (outcome.output.argmax(1) != plain).float().mean().item()
        assert differs == pytest.approx(report.loss, abs=1e-6)
        shares = np.bincount(outcome.exit_index.numpy(), minlength=len(report.exit_share)) / len(own)
        assert shares.tolist() == pytest.approx(report.exit_share)
