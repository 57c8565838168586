"""A small model on the command line: `--small`, from build to export."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from offramp import deployed
from offramp.bundle import Bundle
from tests import cascades
from tests.cli.test_build import FILES
from tests.cli.world import offramp, refused, snapshot

NETS = cascades.__file__
SMALL = ["--small", f"{NETS}:fresh"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, the weights of the small network, and a bundle."""
    found = tmp_path_factory.mktemp("small")
    x = torch.randn(400, *cascades.SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.savez(found / "data.npz", x=x.numpy(), y=cascades.large()(x).argmax(1).numpy())
    save_file(cascades.little().state_dict(), found / "small.safetensors")
    ran = offramp(*build(found), "--out", found / "bundle")
    assert (ran.code, ran.err) == (0, "")
    (found / "small.safetensors").rename(found / "gone.safetensors")
    return found


def build(folder: Path) -> list[str]:
    asked = ["--data", str(folder / "data.npz"), "--recipe", "cascade", "--max-drop", "0.1", "--batch-sizes", ""]
    return ["build", f"{NETS}:large", *asked, *SMALL, "--small-weights", str(folder / "small.safetensors")]


def given(folder: Path) -> list[str]:
    return [str(folder / "bundle"), f"{NETS}:large"]


def test_it_is_measured_run_tuned_and_exported_by_naming_its_code(folder: Path, tmp_path: Path) -> None:
    data = ["--data", str(folder / "data.npz")]
    found = offramp("evaluate", *given(folder), *data, *SMALL, "--batch-sizes", "", "--json")
    assert found.code == 0, found.err
    points = {point["name"]: point for point in json.loads(found.out)["points"]}
    report = {point.name: point for point in Bundle.load(folder / "bundle").report}
    assert points["balanced"]["cost_ratio"] == pytest.approx(report["balanced"].cost)
    assert points["balanced"]["exit_share"] == pytest.approx(report["balanced"].exit_share)
    assert offramp("run", *given(folder), *data, *SMALL, "--out", tmp_path / "a.csv").code == 0
    lines = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert {line[3] for line in lines} == {"input/small", "backbone"}
    assert offramp("tune", *given(folder), *data, *SMALL, "--out", tmp_path / "tuned").code == 0
    assert Bundle.load(tmp_path / "tuned").small == Bundle.load(folder / "bundle").small
    exported = offramp("export", *given(folder), *SMALL, "--out", tmp_path / "stages", "--point", "balanced")
    assert exported.code == 0, exported.err
    with np.load(folder / "data.npz") as arrays:
        stages = deployed.load(tmp_path / "stages", threads=1).use("balanced")(arrays["x"])
    assert stages.exit_index.tolist() == [int(line[2]) for line in lines]


def test_it_is_timed_and_its_memory_measured(folder: Path) -> None:
    data = ["--data", str(folder / "data.npz"), "--point", "balanced", "--batch-sizes", "4"]
    timed = offramp("bench", "speed", *given(folder), *data, *SMALL, "--backends", "eager", "--json")
    assert timed.code == 0, timed.err
    measured = offramp("bench", "memory", *given(folder), *data, *SMALL, "--samples", "4", "--json")
    assert measured.code == 0, measured.err
    rows = {row["point"]: row for row in json.loads(measured.out)["rows"]}
    assert rows["balanced"]["head_bytes"] == 4 * (192 * cascades.CLASSES + cascades.CLASSES)


def test_explain_prints_a_program_that_does_the_same(folder: Path, tmp_path: Path) -> None:
    weights = folder / "gone.safetensors"
    asked = [*build(folder)[:-1], str(weights)]
    explained = offramp(*asked, "--out", tmp_path / "explained", "--explain")
    assert (explained.code, explained.err) == (0, "")
    exec(compile(explained.out, "steps.py", "exec"), {"__name__": "steps"})
    assert offramp(*asked, "--out", tmp_path / "built").code == 0
    assert {name: snapshot(tmp_path / "explained")[name] for name in FILES} == snapshot(tmp_path / "built")


def test_what_is_missing_or_too_much_is_said(folder: Path, tmp_path: Path) -> None:
    data = ["--data", str(folder / "data.npz")]
    plain = ["build", f"{NETS}:large", *data, "--out", str(tmp_path / "b")]
    refused(*plain, "--recipe", "cascade", saying=["expected a small model for this recipe", "--small SPEC"])
    refused(*plain, "--recipe", "cascade", "--explain", saying="expected a small model for this recipe")
    refused(*plain, "--recipe", "student", *SMALL, saying="expected no small model with this recipe")
    refused("evaluate", *given(folder), *data, saying=["expected --small", "cascades.py:fresh", "name it"])
    refused("evaluate", *given(folder), *data, "--small", f"{NETS}:large", saying="lacks")
    assert not (tmp_path / "b").exists()
