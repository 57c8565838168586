import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from offramp.load.models import load_model
from tests.cli.world import World, offramp, refused, snapshot

POINT = {
    *("name", "cost_ratio", "agreement", "accuracy", "accuracy_drop", "exit_share", "time_ratio", "bound"),
    *("ece", "brier", "nll", "reliability", "measures", "agreement_interval", "drop_noise"),
}
BINS = {"count", "confidence", "right"}
SETS = {"coverage", "size", "count", "exit_coverage", "exit_size"}


def evaluated(world: World, *flags: Any, data: Any = None) -> dict[str, Any]:
    result = offramp("evaluate", world.bundle, *world.net, "--data", data or world.data, "--json", *flags)
    assert result.code == 0, result
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_json_has_the_documented_fields(world: World) -> None:
    found = evaluated(world, "--all", "--timing-samples", "4")
    assert found["backbone"].keys() == {"accuracy", "macs", "measures"}
    assert found["part"] == "report"
    assert found["samples"] == 45
    assert (found["against"], found["conformal"], len(found["exits"])) == ("labels", None, 4)
    assert all(set(one) == {"ece", *BINS} for one in found["exits"])
    for point in found["points"]:
        assert set(point) == POINT
        assert point["bound"].keys() == {"risk", "epsilon", "delta", "method", "n"}
        assert point["time_ratio"].keys() == {"1", "32"}
        assert point["reliability"].keys() == BINS
        assert sum(point["reliability"]["count"]) == 45
        assert sum(point["exit_share"]) == pytest.approx(1)
        assert len(point["exit_share"]) == 4
        assert 0 <= point["agreement"] <= 1
        drop = 100 * (found["backbone"]["accuracy"] - point["accuracy"])
        assert point["accuracy_drop"] == pytest.approx(drop)
    full = found["points"][0]
    assert (full["name"], full["cost_ratio"], full["agreement"]) == ("full", 1.0, 1.0)


def test_agrees_with_what_run_writes(world: World, tmp_path: Path) -> None:
    """Agreement, accuracy and exit shares again, from the predictions of the run loop and of the plain model."""
    x, y = world.arrays()
    with torch.no_grad():
        plain = load_model(world.net[0], world.net[2]).model(torch.from_numpy(x)).argmax(1).numpy()
    found = evaluated(world, "--part", "all", "--batch-sizes", "", "--point", "fastest", "--point", "full")
    assert found["backbone"]["accuracy"] == pytest.approx(float((plain == y).mean()))
    for point in found["points"]:
        out = tmp_path / f"{point['name']}.csv"
        model = [world.bundle, *world.net, "--data", world.data]
        assert offramp("run", *model, "--point", point["name"], "--out", out).code == 0
        with out.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        answers = np.array([int(row["prediction"]) for row in rows])
        shares = np.bincount([int(row["exit_index"]) for row in rows], minlength=4) / 300
        assert point["agreement"] == pytest.approx(float((answers == plain).mean()))
        assert point["accuracy"] == pytest.approx(float((answers == y).mean()))
        assert point["exit_share"] == pytest.approx(shares.tolist())


@pytest.mark.parametrize("flags", [[], ["--no-labels"]])
def test_without_labels_there_is_no_accuracy(world: World, tmp_path: Path, flags: list[str]) -> None:
    data = world.data
    if not flags:
        np.savez(tmp_path / "unlabelled.npz", x=world.arrays()[0])
        data = str(tmp_path / "unlabelled.npz")
    found = evaluated(world, "--batch-sizes", "", "--point", "full", *flags, data=data)
    assert found["backbone"]["accuracy"] is None
    assert found["points"][0]["accuracy"] is None
    assert found["points"][0]["time_ratio"] == {}


def test_the_builds_own_data_is_known_by_its_contents(world: World, tmp_path: Path) -> None:
    x, _ = world.arrays()
    np.savez(tmp_path / "same.npz", x=x)
    np.savez(tmp_path / "other.npz", x=x + 1)
    flags = ("--batch-sizes", "", "--point", "full")
    assert evaluated(world, *flags, data=tmp_path / "same.npz")["part"] == "report"
    assert evaluated(world, *flags, data=tmp_path / "other.npz")["part"] == "all"


@pytest.mark.parametrize("columns", ["80", "100"])
def test_the_table_fits_the_terminal(world: World, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = offramp("evaluate", world.bundle, *world.net, "--data", world.data, "--timing-samples", "1")
    lines = result.out.splitlines()
    rows = [line for line in lines if "≤" in line]
    assert len(rows) == len(evaluated(world, "--batch-sizes", "")["points"])
    assert "certified" in result.out
    assert "disagreement" in result.out
    if all(float(cell) < 1000 for row in rows for cell in row.replace("%", "").replace("≤", "").split()[1:4]):
        assert max(map(len, lines)) <= int(columns)


def test_draws_a_figure(world: World, tmp_path: Path) -> None:
    file = tmp_path / "new" / "front.png"
    result = offramp("evaluate", world.bundle, *world.net, "--data", world.data, "--batch-sizes", "", "--figure", file)
    assert result.err == f"figure: {file}"
    with Image.open(file) as picture:
        assert picture.size[0] >= 1200


def test_draws_reliability_diagrams(world: World, tmp_path: Path) -> None:
    file = tmp_path / "reliability.png"
    asked = ["--data", world.data, "--batch-sizes", "", "--reliability", file]
    assert offramp("evaluate", world.bundle, *world.net, *asked).err == f"reliability: {file}"
    with Image.open(file) as picture:
        assert picture.size[0] >= 1200


def test_without_labels_calibration_is_against_the_plain_model(world: World) -> None:
    found = evaluated(world, "--batch-sizes", "", "--point", "full", "--no-labels")
    assert found["against"] == "backbone"
    full, last = found["points"][0], found["exits"][-1]
    assert last["right"] == [1.0] * len(last["count"])  # it answers like itself
    assert full["ece"] == pytest.approx(last["ece"])
    assert full["ece"] == pytest.approx(1 - np.average(last["confidence"], weights=last["count"]))


def test_prediction_sets_are_calibrated_on_certify_and_tested_on_report(world: World) -> None:
    flags = ("--batch-sizes", "", "--conformal", "0.2")
    sets = evaluated(world, *flags)["conformal"]
    assert (sets["alpha"], sets["calibrated_on"], sets["tested_on"]) == (0.2, "the certify part", "the report part")
    assert (sets["calibrated"], sets["tested"]) == (60, 45)
    for by_kind in sets["points"].values():
        assert list(by_kind) == ["general", "all", "strict", "gated"]
        for one in by_kind.values():
            assert set(one) == SETS
            assert sum(one["count"]) == 45
            nobody = [count == 0 for count in one["count"]]
            assert [value is None for value in one["exit_coverage"]] == nobody
            assert one["coverage"] > 0.55
            assert 0 <= one["size"] <= 4


def test_prediction_sets_on_other_data_use_halves_and_on_used_data_are_refused(world: World, tmp_path: Path) -> None:
    x, y = world.arrays()
    np.savez(tmp_path / "other.npz", x=x[:81] + 0.1, y=y[:81])
    flags = ("--batch-sizes", "", "--point", "fastest", "--conformal", "0.2")
    sets = evaluated(world, *flags, data=tmp_path / "other.npz")["conformal"]
    assert (sets["calibrated_on"], sets["tested_on"]) == ("one half", "the other half")
    assert (sets["calibrated"], sets["tested"]) == (40, 41)
    data = ["--data", world.data]
    for part in ("all", "choose", "train", "certify"):
        saying = ["expected the report part for prediction sets", f"got '{part}'", "leave --part out"]
        refused("evaluate", world.bundle, *world.net, *data, *flags, "--part", part, saying=saying)


def test_prediction_sets_have_a_table_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    flags = ["--data", world.data, "--batch-sizes", "", "--conformal", "0.2"]
    out = offramp("evaluate", world.bundle, *world.net, *flags).out
    assert "prediction sets to hold the label in 80.0 % of cases" in out
    assert "calibrated on 60 samples (the certify part), tested on 45 (the report part)" in out
    assert "ECE: against the label" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_weights_of_the_build_are_found_again(world: World, bundle: Path) -> None:
    arguments = ["--data", world.data, "--batch-sizes", "", "--point", "full"]
    assert offramp("evaluate", bundle, world.net[0], *arguments).code == 0
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace("weights.safetensors", "gone.safetensors"))
    refused("evaluate", bundle, world.net[0], *arguments, saying=["gone.safetensors", "--weights"])


def test_code_is_never_run_because_a_bundle_names_it(world: World) -> None:
    refused("evaluate", world.bundle, "--data", world.data, saying=["expected MODEL", "own code", "net.py:net"])


def test_foreign_weights_are_refused(world: World, tmp_path: Path) -> None:
    state = load_file(world.folder / "weights.safetensors")
    save_file(state | {"fc.bias": state["fc.bias"] + 1}, tmp_path / "other.safetensors")
    other = [world.net[0], "--weights", tmp_path / "other.safetensors"]
    for name in ("evaluate", "run"):
        out = ["--out", tmp_path / "p.csv"] if name == "run" else []
        saying = ["expected the Net with fingerprint", "load the weights the bundle was built for"]
        refused(name, world.bundle, *other, "--data", world.data, *out, saying=saying)


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda x: x[:, :2], ["expected inputs (3, 8, 8) float32", "got (2, 8, 8) float32", "changed.npz"]),
        (lambda x: x[:0], ["at least one sample", "changed.npz"]),
        (lambda x: np.where(np.arange(300)[:, None, None, None] == 7, np.nan, x), ["NaN", "sample 7"]),
    ],
)
def test_bad_data_is_refused(
    world: World, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], saying: list[str]
) -> None:
    np.savez(tmp_path / "changed.npz", x=change(world.arrays()[0]).astype(np.float32))
    (tmp_path / "p.csv").write_text("kept")
    model = [world.bundle, *world.net, "--data", tmp_path / "changed.npz"]
    refused("evaluate", *model, saying=saying)
    refused("run", *model, "--out", tmp_path / "p.csv", saying=saying)
    assert (tmp_path / "p.csv").read_text() == "kept"
    assert not (tmp_path / "p.csv.part").exists()


def test_pictures_of_another_size_are_evaluated_and_too_small_ones_refused(world: World, tmp_path: Path) -> None:
    x = world.arrays()[0].astype(np.float32)
    np.savez(tmp_path / "large.npz", x=x.repeat(2, 2).repeat(2, 3))
    np.savez(tmp_path / "small.npz", x=x[:, :, :2, :2])
    model = load_model(world.net[0], world.net[-1]).model
    with torch.no_grad():
        own = model(torch.from_numpy(x.repeat(2, 2).repeat(2, 3))).argmax(1).numpy()
    asked = ["--data", tmp_path / "large.npz", "--json"]
    found = json.loads(offramp("evaluate", world.bundle, *world.net, *asked).out)
    assert (found["samples"], found["points"][0]["agreement"]) == (300, 1.0)
    small = json.loads(offramp("evaluate", world.bundle, *world.net, "--data", world.data, "--json").out)
    assert found["backbone"]["macs"] == pytest.approx(4 * small["backbone"]["macs"], rel=0.01)  # four times the pixels
    out = tmp_path / "p.csv"
    offramp("run", world.bundle, *world.net, "--data", tmp_path / "large.npz", "--point", "full", "--out", out)
    assert [int(row["prediction"]) for row in csv.DictReader(out.read_text().splitlines())] == own.tolist()
    data = ["--data", tmp_path / "small.npz"]
    refused("evaluate", world.bundle, *world.net, *data, saying=["expected a feature", "nearer to those of the build"])


@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        (["--point", "quick"], ["expected an operating point among full", "'quick'"]),
        (["--point", "full", "--all"], "either --point or --all"),
        (["--batch-sizes", "1,x"], ["--batch-sizes", "'1,x'"]),
        (["--batch-sizes", "0"], ["--batch-sizes", "'0'"]),
        (["--timing-samples", "0"], "'--timing-samples'"),
        (["--figure", "front.bmp"], [".png, .svg, .pdf", "'front.bmp'"]),
        (["--reliability", "front.bmp"], [".png, .svg, .pdf", "'front.bmp'"]),
        (["--conformal", "10"], ["alpha as a share in (0, 1)", "write 10 % as 0.1"]),
        (["--part", "rest"], ["certify, choose, report, train", "'rest'"]),
        (["--label-file", "labels.csv"], "only beside a folder"),
    ],
)
def test_bad_wishes_are_refused(world: World, flags: list[str], saying: str | list[str]) -> None:
    refused("evaluate", world.bundle, *world.net, "--data", world.data, *flags, saying=saying)


@pytest.mark.parametrize(
    ("labels", "flags", "saying"),
    [
        (None, ["--labels"], ["expected labels in", "array y"]),
        (np.zeros(5, np.int64), [], ["300 labels", "got 5"]),
        (np.full(300, 9), [], ["labels in 0..3", "9"]),
        (np.full(300, 0.5), [], "class indices"),
    ],
)
def test_bad_labels_are_refused(
    world: World, tmp_path: Path, labels: np.ndarray | None, flags: list[str], saying: str | list[str]
) -> None:
    """Damaged labels are no reason to leave accuracy out without a word."""
    x = world.arrays()[0]
    np.savez(tmp_path / "d.npz", **({"x": x} if labels is None else {"x": x, "y": labels}))  # type: ignore[arg-type]
    model = [world.bundle, *world.net, "--data", tmp_path / "d.npz", "--point", "full", "--batch-sizes", ""]
    refused("evaluate", *model, *flags, saying=saying)


def test_parts_of_other_data_are_refused(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", x=world.arrays()[0][:12])
    model = [world.bundle, *world.net, "--data", tmp_path / "few.npz", "--part", "report"]
    refused("evaluate", *model, saying=["300 samples of the build, got 12", "--part all"])


def edited(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        values = json.loads((bundle / name).read_text())
        change(values)
        (bundle / name).write_text(json.dumps(values))

    return edit


def cut(name: str, share: float) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        whole = (bundle / name).read_bytes()
        (bundle / name).write_bytes(whole[: int(share * len(whole))])

    return edit


def pickled(name: str) -> Callable[[Path], None]:
    return lambda bundle: torch.save({"weight": torch.ones(2)}, bundle / name)


M, H, S = "manifest.json", "heads.safetensors", "splits.safetensors"


@pytest.mark.parametrize(
    "damage",
    [
        *(cut(name, share) for name in (M, H, S) for share in (0.0, 0.01, 0.5, 0.99)),
        *(pickled(name) for name in (M, H, S)),
        *((lambda bundle, name=name: (bundle / name).unlink()) for name in (M, H, S)),
        lambda bundle: (bundle / M).write_text("[]"),
        lambda bundle: (bundle / M).write_bytes(b"\xff\xfe"),
        *(
            edited(M, change)
            for change in (
                lambda m: m.update(schema_version=9),
                lambda m: m.pop("model"),
                lambda m: m["model"].update(task="poetry"),
                lambda m: m.update(gate="iron"),
                lambda m: m["exits"][0].update(point="nowhere"),
                lambda m: m["exits"][0].update(hidden=[99]),
                lambda m: m["exits"][0].update(calibration={"kind": "temperature", "temperature": 0.0}),
                lambda m: m["exits"][0]["reduction"].update(kind="grid", size=0),
                lambda m: m.update(exits=m["exits"][:1]),
                lambda m: m.update(points=[]),
                lambda m: m.update(costs=[]),
                lambda m: m["costs"][0].update(upto=[3.0, 2.0, 1.0, 0.0]),
                lambda m: m["operating_points"][0].update(threshold=[0.5]),
                lambda m: m.update(operating_points=[]),
                lambda m: m.update(inputs=[]),
                lambda m: m["inputs"][0].update(dtype="nn"),
                lambda m: m["inputs"][0].update(shape=[2, 8, 8]),
                lambda m: m.update(preprocess={"kind": "magic"}),
                lambda m: m.update(preprocess={"kind": "image", "colour": 3}),
                lambda m: m["model"].update(classes=0),
            )
        ),
    ],
)
def test_a_damaged_bundle_is_refused_in_one_line(world: World, bundle: Path, damage: Callable[[Path], None]) -> None:
    damage(bundle)
    before = snapshot(bundle)
    flags = ["--data", world.data, "--point", "full", "--batch-sizes", ""]
    refused("evaluate", bundle, *world.net, *flags, saying=[])
    assert snapshot(bundle) == before


def test_a_missing_bundle_is_refused(world: World, tmp_path: Path) -> None:
    refused("evaluate", tmp_path, *world.net, "--data", world.data, saying=["expected a bundle", "manifest.json"])
