"""`offramp bench speed`."""

import json
from pathlib import Path

import pytest

from offramp.deployed import RUNTIMES, available
from tests.cli.world import World, offramp, refused

FIELDS = {
    "backend", "precision", "threads", "batch", "point", "ms", "ratio_to_uncut", "ratio_to_best", "ideal_ratio",
    "achieved", "noise", "break_even", "p50", "p95", "p99",
}  # fmt: skip


def test_speed_is_measured_on_every_back_end(world: World, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    out, figure = tmp_path / "speed.json", tmp_path / "speed.png"
    asked = ["--data", world.data, "--backends", "eager,onnx", "--batch-sizes", "1,8", "--rounds", "4", "--out", out]
    ran = offramp("bench", "speed", world.bundle, *world.net, *asked, "--point", "fastest", "--figure", figure)
    assert ran.code == 0, ran
    assert "time per batch, 1 thread" in ran.out
    assert "the plain model is fastest on" in ran.out
    assert figure.read_bytes()[:4] == b"\x89PNG"
    found = json.loads(out.read_text())
    assert found["version"] == 1
    assert found["machine"]["processor"]
    rows = found["rows"]
    timed = {"eager", "onnx"}
    plain = {name for name in RUNTIMES if available(name)} - timed
    assert {(row["backend"], row["batch"]) for row in rows} == {(b, s) for b in timed | plain for s in (1, 8)}
    assert all(set(row) == FIELDS for row in rows)
    assert all(row["point"] == "uncut" for row in rows if row["backend"] in plain)
    name = next(row["point"] for row in rows if row["point"] not in ("uncut", "exits-off"))
    assert {row["point"] for row in rows} == {"uncut", "exits-off", name, f"{name}, planned"}
    for row in rows:
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
        assert row["ratio_to_best"] > 0
        assert row["point"] != "uncut" or (row["ratio_to_uncut"], row["ideal_ratio"]) == (1.0, 1.0)
        assert row["point"] != name or row["ideal_ratio"] < 1
    for size in (1, 8):
        assert min(row["ratio_to_best"] for row in rows if row["point"] == "uncut" and row["batch"] == size) == 1.0


def test_what_cannot_be_timed_is_refused(world: World) -> None:
    common = ["bench", "speed", world.bundle, *world.net, "--data", world.data]
    refused(*common, "--backends", "tpu", saying=["back end among eager, compile"])
    refused(*common, "--batch-sizes", "", saying=["at least one batch size"])
    refused(*common, "--point", "quick", saying=["operating point"])
    refused(*common, "--backends", "cuda-graphs", saying=["CUDA device"])
    refused(*common, "--device", "abacus", saying=["device that PyTorch can use", "abacus"])
