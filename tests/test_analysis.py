"""Analyses of bundles of every task, and of those that do not fit together."""

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from offramp.analysis import PARTS, analyze
from offramp.bundle import Bundle
from offramp.errors import DataError, InputError, NoLabelsError, UnknownNameError
from offramp.geometry.settings import Settings
from offramp.load.arrays import open_array
from offramp.report.analyses import groups_of, pairs_of, write_analysis
from offramp.sources import Source
from offramp.testing.models import CNN, TEXT
from offramp.testing.untouched import untouched
from tests import builds
from tests.builds import make
from tests.tasks import built
from tests.test_cascade import cascade, inputs
from tests.test_detection_built import built as detector
from tests.test_detection_built import pictures
from tests.test_trained_backbone import TRAINED, X, labelled

FEW = Settings(samples=40, batch_size=20, entries=20, layers=4, steps=3, grid=3, noises=(0.4,))


def pixels(samples: int = 40) -> Source:
    return open_array(builds.images(samples, 3), np.arange(samples) % 5, None, "pixels")


@cache
def clicks() -> Bundle:
    """A yes-or-no model."""

    def net() -> nn.Module:
        torch.manual_seed(0)
        parts = [nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear(16, 1)).eval()

    with torch.random.fork_rng(devices=[]):
        model = net()
    drawn = torch.randn(400, 8, generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder) / "b", model=model, data=drawn, task="ctr", max_drop=0.2)


def of_task(name: str) -> tuple[Bundle, Source, str]:
    """A bundle, data with labels where there are some, and the loss."""
    if name == "classification":
        return builds.bundle(), pixels(), "cross-entropy, nats"
    if name == "ctr":
        drawn = torch.randn(40, 8, generator=torch.Generator().manual_seed(2))
        return clicks(), open_array(drawn, np.arange(40) % 2, None, "clicks"), "cross-entropy, nats"
    if name == "detection":
        return detector(), open_array(pictures(40, 3), np.arange(40) % 2, None, "pictures"), "cross-entropy, nats"
    loss = "cross-entropy, nats, summed over labels" if name == "multilabel" else "half squared error, standardised"
    return built.bundle(name), built.problem(name).source, loss


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(
    "name", ["classification", "ctr", "detection", "multilabel", "regression", "regression:5000,50"]
)
def test_a_bundle_of_any_task_is_looked_at_with_and_without_labels(name: str, labels: bool) -> None:
    bundle, source, loss = of_task(name)
    assert bundle.multi_exit is not None
    parts = ("gradients", "ranks", "information", "landscape")
    with untouched(bundle.multi_exit.backbone.model), untouched(bundle.multi_exit.heads):
        found = analyze({"it": [bundle]}, source, parts=parts, labels=labels, settings=FEW)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["data"] | {"name": ""} == {
        "name": "",
        "samples": 40,
        "against": "labels" if labels else "backbone",
        "loss": loss,
    }
    shares = found["parts"]["gradients"]["models"]["it"]["dominance"]
    assert len(shares[0]) == len(bundle.multi_exit.exits) + 1
    assert sum(shares[0]) == pytest.approx(1.0)
    own = found["parts"]["landscape"]["models"]["it"]
    assert own["last"][1][1] == pytest.approx(own["here"][-1], rel=1e-5)


def test_the_loss_without_labels_is_against_the_users_model_and_with_them_against_these(tmp_path: Path) -> None:
    source, rows = pixels(), np.arange(40)
    x = torch.as_tensor(source.inputs(rows))
    with torch.no_grad():
        logits = CNN.model().eval()(x)
    for labels, target in ((True, torch.from_numpy(source.labels())), (False, logits.argmax(1)), (None, None)):
        found = analyze({"it": [builds.bundle()]}, source, parts=["landscape"], labels=labels, settings=FEW)
        target = torch.from_numpy(source.labels()) if target is None else target
        as_is = found["parts"]["landscape"]["models"]["it"]["as_is"]
        assert as_is[-1] == pytest.approx(float(F.cross_entropy(logits, target)), rel=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("trained") / "bundle"
    labelled(folder)
    return Bundle.load(folder).attach(CNN.model())


@cache
def plain(seed: int) -> Bundle:
    """Heads of another seed at the points of `trained`, on the model as it is."""
    recipe = replace(TRAINED, regime="distil", trunk=None, labels=False)
    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder) / "b", data=X, recipe=recipe, max_drop=0.2, seed=seed)


def test_regimes_and_seeds_of_one_architecture_are_compared(trained: Bundle, tmp_path: Path) -> None:
    """A bundle with a trained backbone is seen with its own weights, and held against the model that the user has."""
    regimes = {"heads": [plain(0), plain(1)], "mixed": [trained]}
    found = analyze(regimes, pixels(), labels=False, settings=FEW, work=tmp_path / "work")
    assert [model["name"] for model in found["models"]] == ["heads", "heads (2)", "mixed"]
    lines = {(line["from"], line["to"]): line for line in found["parts"]["connectivity"]["lines"]}
    assert set(lines) == {("heads", "heads (2)"), ("heads", "mixed"), ("heads (2)", "mixed")}
    flat = lines["heads", "heads (2)"]["last"]
    assert max(flat) == pytest.approx(min(flat))  # only the heads differ
    assert lines["heads", "heads (2)"]["distance"] > 0.0
    assert trained.multi_exit is not None
    inputs = pixels().inputs(np.arange(40))
    assert isinstance(inputs, torch.Tensor)
    with torch.no_grad():
        said, user = trained.multi_exit.backbone.model(inputs), CNN.model().eval()(inputs).argmax(1)
    as_is = found["parts"]["landscape"]["models"]["mixed"]["as_is"][-1]
    assert as_is == pytest.approx(float(F.cross_entropy(said, user)), rel=1e-4)
    assert found["parts"]["connectivity"]["plane"] is not None
    assert {group: len(seeds) for group, seeds in groups_of(found, "ranks").items()} == {"heads": 2, "mixed": 1}
    assert [(pair[0]["from"], pair[0]["to"], len(pair)) for pair in pairs_of(found)] == [
        ("heads", "heads, other seed", 1),
        ("heads", "mixed", 1),
        ("heads", "mixed, other seed", 1),
    ]
    files = write_analysis(found, tmp_path / "out", ".svg")
    assert [path.name for path in files] == ["analysis.json", *(f"{part}.svg" for part in PARTS)]
    assert all(path.stat().st_size > 1000 for path in files)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    again = analyze(regimes, pixels(), labels=False, settings=FEW, work=tmp_path / "work")
    assert again["parts"] == found["parts"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == before


def test_bundles_that_do_not_fit_together_are_refused_by_what_differs(trained: Bundle) -> None:
    with pytest.raises(InputError, match=r"expected bundles with the same exits, .* in other"):
        analyze({"one": [builds.bundle()], "other": [trained]}, pixels(), settings=FEW)
    with pytest.raises(InputError, match="expected bundles of one task, classification, got detection in other"):
        analyze({"one": [builds.bundle()], "other": [detector()]}, pixels(), settings=FEW)
    with pytest.raises(InputError, match="attached"):
        analyze({"one": [replace(trained, multi_exit=None)]}, pixels(), settings=FEW)
    with pytest.raises(InputError, match="at least one bundle"):
        analyze({}, pixels(), settings=FEW)


def test_data_that_do_not_do_are_refused() -> None:
    bundle = {"it": [builds.bundle()]}
    with pytest.raises(UnknownNameError, match="expected a part among gradients"):
        analyze(bundle, pixels(), parts=["hessian"], settings=FEW)
    with pytest.raises(DataError, match="at least two samples"):
        analyze(bundle, pixels(1), settings=FEW)
    with pytest.raises(NoLabelsError):
        analyze(bundle, open_array(builds.images(4), None, None, "none"), labels=True, settings=FEW)
    bad = builds.images(4).clone()
    bad[1, 0, 0, 0] = float("nan")
    with pytest.raises(DataError, match="NaN or infinity in sample"):
        analyze(bundle, open_array(bad, None, None, "bad"), settings=FEW)
    wrong = open_array(builds.images(4), np.array([0, 1, 2, 9]), None, "wrong")
    with pytest.raises(DataError, match="expected labels in 0"):
        analyze(bundle, wrong, settings=FEW)


def test_a_small_model_in_front_is_left_out() -> None:
    bundle, data = cascade(), open_array(inputs(40), None, None, "vectors")
    found = analyze({"it": [bundle]}, data, parts=["gradients", "ranks", "connectivity"], settings=FEW)
    assert found["left_out"] == ["input"]
    assert found["parts"]["gradients"]["exits"] == ["backbone"]
    assert found["parts"]["gradients"]["models"]["it"]["dominance"] == [[1.0]]


def test_texts_are_looked_at(tmp_path: Path) -> None:
    words = TEXT.inputs(200, 1)
    bundle = make(tmp_path / "b", model=TEXT.model(), data=words, max_drop=0.3)
    found: dict[str, Any] = analyze(
        {"text": [bundle]}, open_array(TEXT.inputs(40, 2), None, None, "text"), settings=FEW
    )
    assert set(found["parts"]) == set(PARTS)
    assert found["parts"]["connectivity"] == {"lines": [], "plane": None}
    assert [path.name for path in write_analysis(found, tmp_path / "out")][-1] == "landscape.png"
