"""Stages on demand, and what an exported folder promises."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp import deployed
from offramp.backends import executors
from offramp.deployed import available
from offramp.errors import InputError
from offramp.exporting import Cuts, export
from offramp.run import model as model_of
from offramp.run.guard import Times
from offramp.run.loop import Plan
from offramp.run.routing import FILE, PointEntry, Routing
from offramp.run.tuning import Tuned
from tests.builds import bundle, images
from tests.films import film, preprocess

pytest.importorskip("onnxruntime")

NOBODY, ONE, TWO = (False,) * 6, (True, *(False,) * 5), (True, False, False, True, False, False)


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_stages_are_written_when_they_are_first_asked_for(tmp_path: Path) -> None:
    cuts = Cuts(bundle().live, tmp_path)
    assert written(tmp_path) == set()
    one = cuts.of(ONE)
    assert written(tmp_path) == {stage.file for stage in one}
    assert [stage.exits for stage in one] == [(0,), (6,)]
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert cuts.of(ONE) is one
    two = cuts.of(TWO)
    assert [stage.exits for stage in two] == [(0,), (3,), (6,)]
    assert not {stage.file for stage in two} & {stage.file for stage in one}
    assert cuts.of(NOBODY) == (cuts.uncut,)
    assert cuts.uncut.file in written(tmp_path)
    assert list(cuts.files) == [cuts.name(ONE), cuts.name(TWO), "uncut"]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in stamps} == stamps


def test_a_back_end_shares_the_stages_of_another_and_writes_no_others(tmp_path: Path) -> None:
    names = [name for name in ("onnx", "openvino") if available(name)]
    makes = executors(bundle().live, names, tmp_path, 1)
    assert written(tmp_path) == set()
    x = images(6).numpy()
    found = [make(ONE).whole(x).logits for make in makes.values()]
    assert len(written(tmp_path)) == 3
    plain = bundle().use("full")(images(6)).output.numpy()
    for logits in found:
        np.testing.assert_allclose(logits, plain, rtol=1e-3, atol=1e-3)


def test_without_a_backbone_there_is_nothing_to_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="attach"):
        Cuts(replace(bundle(), multi_exit=None).live, tmp_path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "stages"
    export(bundle(), folder, ["full", "balanced", "fast", "fastest"])
    return folder


def test_an_exported_point_promises_what_was_certified(exported: Path) -> None:
    routing = Routing.read(exported)
    for name, entry in routing.points.items():
        bound = bundle().point(name).bound
        assert bound is not None
        assert entry.promise == bound.epsilon
    assert routing.aliases == {"careful": "full"}
    model = deployed.load(exported, "careful", threads=1)
    assert model.active == "careful"


def test_a_folder_without_promises_is_read_and_replaces_nothing(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of the version before had none. Here `balanced` is measured to be twice as fast as the others."""

    def tuned(plans: Mapping[str, Plan], _: object) -> dict[str, Tuned]:
        times = Times(np.full(7, 0.5), np.full(7, 1 / 7))
        return {name: Tuned(True, 0.4 if name == "balanced" else 0.8, 0.0, times) for name in plans}

    monkeypatch.setattr(model_of, "tuned", tuned)
    old = Path(shutil.copytree(exported, tmp_path / "old"))
    found = json.loads((old / FILE).read_text())
    for entry in found["points"].values():
        del entry["promise"]
    (old / FILE).write_text(json.dumps(found))
    assert {entry.promise for entry in Routing.read(old).points.values()} == {None}
    assert PointEntry((True,), (0.5,), "cut0").promise is None
    for folder, used in ((exported, "balanced"), (old, "fast")):
        model = deployed.load(folder, threads=1)
        model.tune({4: [[images(4).numpy()]]})
        assert model.plan("fast", 4) == used


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_runtime_whose_package_is_missing_is_not_available(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"onnx": "offramp.run.onnx_runtime", "openvino": "offramp.run.openvino_runtime"}[name]
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert not available(name)
    with pytest.raises(InputError, match=f"pip install {package}"):
        deployed.runtime_of(name)
    assert available("eager")
    assert available("compile")


def test_bfloat16_is_available_where_the_processor_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    from offramp.run import openvino_runtime

    for can in (True, False):
        monkeypatch.setattr(openvino_runtime, "computes_bf16", lambda can=can: can)
        assert available("openvino-bf16") is can
        assert available("openvino")


def test_lengths_stay_open_where_a_model_is_as_wide_as_its_example_is_long(tmp_path: Path) -> None:
    """Stages came out for that one length; and none at all where they hand a mask of truth values on."""
    (shape,) = {one.shape for one in film().manifest.inputs}
    widths = {point.feature_shape[-1] for point in film().manifest.points}
    assert widths == {*shape} == {32}
    export(film(), tmp_path / "stages", ["careful", "full"])
    live, exported = film().use("careful"), deployed.load(tmp_path / "stages", "careful", threads=1)
    for count in (2, 7, 14, 21, 30):
        inputs = preprocess().batch([" ".join(["film"] * count), "good", "a plot"])
        expected = live(inputs)
        found = exported({name: one.numpy() for name, one in inputs.items()})
        assert found.exit_index.tolist() == expected.exit_index.tolist()
        np.testing.assert_allclose(found.output, expected.output.numpy(), rtol=1e-3, atol=1e-4)
