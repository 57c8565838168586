"""`offramp tune`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp import tune as tuning
from offramp.bundle import HEADS, SPLITS, Bundle
from offramp.load.models import load_model
from tests.cli.world import Ran, World, offramp, refused, snapshot


@pytest.fixture(scope="module")
def tuned(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    out = tmp_path_factory.mktemp("tuned") / "new"
    before = snapshot(world.folder)
    ran = offramp("tune", world.bundle, *world.net, "--data", world.data, "--batch-sizes", "1:0.2,4:0.8", "--out", out)
    assert snapshot(world.folder) == before
    return out, ran


def test_a_new_bundle_with_the_same_heads(world: World, tuned: tuple[Path, Ran]) -> None:
    out, ran = tuned
    assert (ran.code, ran.err) == (0, ""), ran
    assert ran.out.splitlines()[-1] == f"bundle for eager: {out}"
    assert "operating points on the" in ran.out
    assert {line.partition(":")[0] for line in ran.progress} >= {"timing eager"}
    assert (out / HEADS).read_bytes() == (world.bundle / HEADS).read_bytes()
    assert (out / SPLITS).read_bytes() == (world.bundle / SPLITS).read_bytes()
    bundle = Bundle.load(out)
    assert [(one.unit, one.batch_size, one.device) for one in bundle.costs if one.unit == "s"] == [
        ("s", 1, "eager, 1 thread"),
        ("s", 4, "eager, 1 thread"),
    ]
    for point in bundle.points:
        assert point.name in ran.out
        assert point.bound is not None
        assert point.bound.n == len(bundle.splits["certify"])


def test_its_figures_are_those_of_running_it(world: World, tuned: tuple[Path, Ran]) -> None:
    bundle = Bundle.load(tuned[0])
    live = bundle.use("full", load_model(world.net[0], Path(world.net[-1])).model)
    here = torch.from_numpy(world.arrays()[0][bundle.splits["report"]])
    plain = live(here).output.argmax(1)
    for point in bundle.report:
        found = live.use(point.name)(here)
        spent = bundle.cost.leaving(np.array(point.configuration.enabled))[found.exit_index.numpy()]
        assert point.cost == pytest.approx(spent.mean() / bundle.cost.backbone, abs=1.0 / len(here))
        assert point.loss == pytest.approx((found.output.argmax(1) != plain).float().mean().item(), abs=1 / len(here))


def test_other_commands_take_it(world: World, tuned: tuple[Path, Ran], tmp_path: Path) -> None:
    csv = tmp_path / "a.csv"
    ran = offramp("run", tuned[0], *world.net, "--data", world.data, "--point", "fastest", "--out", csv)
    assert ran.code == 0, ran
    assert len(csv.read_text().splitlines()) == 301
    again = offramp("tune", tuned[0], *world.net, "--data", world.data, "--out", tmp_path / "again")
    assert again.code == 0, again


def test_exported_stages_are_timed_by_the_runtime(world: World, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "new"
    ran = offramp("tune", world.bundle, *world.net, "--data", world.data, "--backend", "onnx", "--out", out)
    assert ran.code == 0, ran
    assert ran.out.splitlines()[-1] == f"bundle for onnx: {out}"
    assert [one.device for one in Bundle.load(out).costs] == ["cpu", "onnx, 1 thread"]


def test_dear_heads_are_given_up(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    macs = Bundle.load(world.bundle).cost

    def measured(*_: Any) -> list[Any]:
        head = np.append(np.full(len(macs.head) - 1, macs.backbone), 0.0)
        return [replace(macs, unit="s", head=head, device="abacus")]

    monkeypatch.setattr(tuning, "measured", measured)
    ran = offramp("tune", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "new")
    assert ran.code == 0, ran
    before, after = (
        {e for point in Bundle.load(folder).points for e, on in enumerate(point.configuration.enabled) if on}
        for folder in (world.bundle, tmp_path / "new")
    )
    assert before
    assert not after


def test_other_data_is_refused(world: World, tmp_path: Path) -> None:
    x, y = world.arrays()
    np.savez(tmp_path / "other.npz", x=x[::-1], y=y)
    common = ["tune", world.bundle, *world.net, "--data", tmp_path / "other.npz", "--out", tmp_path / "new"]
    refused(*common, saying=["expected the data of the build", "on other data build a new bundle"])
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_refused(world: World, tmp_path: Path) -> None:
    common = ["tune", world.bundle, *world.net, "--data", world.data, "--out"]
    refused(*common, world.bundle, saying=["expected an empty folder", str(world.bundle)])
    (tmp_path / "notes.txt").write_text("mine")
    refused(*common, tmp_path, saying=["expected an empty folder", "choose another"])
    refused(*common, tmp_path / "notes.txt", saying=["expected an empty folder"])
    assert snapshot(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("text", ["", "a", "0", "1,", "1:0", "1:-1", "1:nan", "1:inf", "1.5", "1;32"])
def test_other_batch_sizes_are_refused(text: str, world: World, tmp_path: Path) -> None:
    common = ["tune", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "new", "--batch-sizes", text]
    refused(*common, saying=["--batch-sizes", repr(text)])


def test_other_back_ends_are_refused_before_anything_is_run(world: World, tmp_path: Path) -> None:
    common = ["tune", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "new"]
    for name, saying in (("tpu", "back end among eager, compile"), ("cuda-graphs", "CUDA device")):
        refused(*common, "--backend", name, saying=saying)
    assert not (tmp_path / "new").exists()
