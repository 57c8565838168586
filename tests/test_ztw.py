"""The recipe `ztw` from the build to the back ends: heads that hear each other, and answers put together."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch

from offramp import heads, recipes
from offramp.bundle import Bundle
from offramp.decide.replay import replay
from offramp.deployed import available, load
from offramp.errors import BundleError, InputError
from offramp.evaluation import evaluate
from offramp.exporting import export
from offramp.load.arrays import open_array
from offramp.manifest import Manifest
from offramp.recipe import Recipe, Student
from offramp.search import NAMES as SEARCHERS
from offramp.testing.searchers import random_table
from offramp.train.fit import Schedule
from offramp.tune import tune
from offramp.types import Goal
from tests.builds import SAMPLES, images, make
from tests.test_bundle import peeking
from tests.test_comparing import TOYS, files, rows_of
from tests.toys import CNN

SHORT = Schedule(epochs=4, batch_size=32, learning_rate=1e-2)
FREE: Recipe = replace(recipes.recipe("ztw-labelfree"), points=4, schedule=SHORT)
LABELS: Recipe = replace(recipes.recipe("ztw"), points=4, schedule=SHORT)


def labels() -> np.ndarray:
    """The classes that the backbone names, a fifth of them moved on."""
    with torch.no_grad():
        named = CNN.model()(images()).argmax(1).numpy()
    moved: np.ndarray = np.where(np.arange(SAMPLES) % 5 == 0, (named + 1) % 5, named)
    return moved


@cache
def built() -> tuple[Path, Bundle]:
    folder = Path(mkdtemp(prefix="offramp-ztw-"))
    return folder / "bundle", make(folder / "bundle", recipe=FREE, max_drop=0.3)


def all_or_none(bundle: Bundle) -> bool:
    return all(len(set(point.configuration.enabled)) == 1 for point in bundle.points)


def widest(bundle: Bundle) -> str:
    """The point at which samples leave at most exits."""
    return max(bundle.points, key=lambda point: np.count_nonzero(point.exit_share)).name


def test_points_leave_all_exits_on_and_ensembles_are_no_exit_alone() -> None:
    _, bundle = built()
    assert all_or_none(bundle)
    assert len(bundle.points) > 1
    inner = len(bundle.manifest.exits)
    weight = [bundle.heads[f"{index}.ensemble.weight"] for index in range(inner)]
    assert [len(one) for one in weight] == list(range(1, inner + 1))
    assert any(float(one[:-1].max()) > 0.01 for one in weight[1:])
    assert all(float(one.min()) >= 0 for one in weight)
    assert [f"{index}.cascade.linear.weight" in bundle.heads for index in range(inner)] == [False, True, True, True]


def test_what_runs_is_what_was_reported() -> None:
    """Exit shares of the report part, counted by running."""
    _, bundle = built()
    inputs = images()[torch.from_numpy(bundle.splits["report"])]
    for point in bundle.report:
        left = bundle.use(point.name)(inputs).exit_index.numpy()
        share = np.bincount(left, minlength=len(point.exit_share)) / len(left)
        np.testing.assert_allclose(share, point.exit_share, atol=1e-9)


@pytest.mark.parametrize("route", ["graph", "hooks"])
def test_a_bundle_is_saved_loaded_and_attached(route: str, tmp_path: Path) -> None:
    if route == "graph":
        folder, bundle = built()
        model = CNN.model()
    else:
        model = peeking()
        bundle, folder = make(tmp_path / "a", model=model, recipe=FREE, max_drop=0.3, timed=(4,)), tmp_path / "a"
    assert bundle.manifest.model.route == route
    loaded, inputs = Bundle.load(folder), images(30, seed=3)
    for point in bundle.points:
        mine, read = bundle.use(point.name)(inputs), loaded.use(point.name, model)(inputs)
        torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)
        torch.testing.assert_close(read.exit_index, mine.exit_index)
    spread = bundle.use(widest(bundle))
    together = spread(inputs).exit_index.tolist()
    assert len(set(together)) > 2
    assert [int(spread(inputs[index : index + 1]).exit_index[0]) for index in range(30)] == together


def test_labels_train_heads_and_ensembles_where_they_are_read(tmp_path: Path) -> None:
    bundle = make(tmp_path / "a", data=(images(), labels()), labels=True, recipe=LABELS, max_drop=0.3)
    assert bundle.manifest.risk == "error"
    assert all_or_none(bundle)
    other = make(tmp_path / "b", data=(images(), labels()), labels=True, recipe=FREE, max_drop=0.3)
    torch.testing.assert_close(other.heads["0.net.1.weight"], built()[1].heads["0.net.1.weight"])
    assert not torch.equal(other.heads["1.ensemble.weight"], built()[1].heads["1.ensemble.weight"])
    assert not torch.equal(bundle.heads["0.net.1.weight"], other.heads["0.net.1.weight"])


def test_exported_stages_carry_what_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default's heads: the exporter has no maximum over a grid whose cells are of several sizes."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(heads.NAMES, "heard", replace(heads.NAMES["grid-linear"], cascade=True, ensemble=True))
    bundle = make(tmp_path / "bundle", recipe=replace(FREE, heads=("heard",)), max_drop=0.3)
    names = [widest(bundle), "full"]
    routing = export(bundle, tmp_path / "stages", names)
    cut = routing.cuts[routing.points[names[0]].cut]
    assert [len(stage.state) - len(cut[0].state) for stage in cut] == [0, 1, 2, 3, -len(cut[0].state)]
    inputs = images(40, seed=3)
    for runtime in filter(available, ("onnx", "openvino")):
        model = load(tmp_path / "stages", runtime=runtime, threads=1)
        for name in names:
            mine = bundle.use(name)(inputs)
            for size in (1, 40):
                found = [model.use(name)(part.numpy()) for part in torch.split(inputs, size)]
                np.testing.assert_array_equal(np.concatenate([one.exit_index for one in found]), mine.exit_index)
                output = np.concatenate([one.output for one in found])
                np.testing.assert_allclose(output, mine.output.numpy(), rtol=1e-3, atol=1e-3)


def test_it_is_evaluated_and_tuned_like_any_other() -> None:
    _, bundle = built()
    source = open_array(images(), None, None, "images")
    found = evaluate(bundle, source, batch_sizes=())
    for point, reported in zip(found.points, bundle.report, strict=True):
        np.testing.assert_allclose(point.exit_share, reported.exit_share)
        assert point.agreement == pytest.approx(1.0 - reported.loss)
    assert all_or_none(tune(bundle, source, batch_mix={4: 1.0}, rounds=2))


def test_it_stands_beside_other_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdn = replace(recipes.recipe("sdn"), points=4, schedule=SHORT)
    for name, made in {**TOYS, "ztw": LABELS, "ztw-labelfree": FREE, "sdn": sdn}.items():
        monkeypatch.setitem(recipes.NAMES, name, made)
    config = files(tmp_path).model_copy(update={"recipes": ("ztw", "ztw-labelfree", "sdn")})
    rows = rows_of(config, tmp_path / "work")
    assert set(rows) == set(config.recipes)
    assert rows["ztw"].head_parameters > rows["sdn"].head_parameters
    assert len(rows["ztw"].exits) == len(rows["sdn"].exits) == 4
    assert rows["ztw"].labels
    assert not rows["ztw-labelfree"].labels


def test_searchers_leave_all_exits_on_or_say_that_they_cannot() -> None:
    table = replace(random_table(3), together=True)
    for name, made in SEARCHERS.items():
        if name == "shared":
            path = made().search(table, Goal(0.05))
            assert len(path) > 2
            assert {one.enabled for one in path} == {(False,) * 3, (True,) * 3}
            assert all(replay(table, one).exit_index.max() <= 3 for one in path)
        elif name.startswith("uniform"):  # which leaves all on anyway
            assert {one.enabled for one in made().search(table, Goal(0.05))} <= {(False,) * 3, (True,) * 3}
        else:
            with pytest.raises(InputError, match="heads that hear each other; use the searcher shared"):
                made().search(table, Goal(0.05))


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": ("ztw", "sdn")},
        {"searcher": "tolerance"},
        {"regime": "jei", "gate": "jei"},
        {"students": (Student(),)},
    ],
)
def test_recipes_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected one kind of head where heads hear each other"):
        replace(recipes.recipe("ztw"), **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected heads that answer alone where the backbone learns, got ztw"):
        replace(recipes.recipe("joint"), heads=("ztw",))


def test_a_manifest_with_some_of_the_exits_on_is_refused(tmp_path: Path) -> None:
    _, bundle = built()
    last = bundle.manifest.operating_points[-1]
    some = last.model_copy(update={"enabled": (False, *last.enabled[1:])})
    bundle.manifest.model_copy(update={"operating_points": (some,)}).write(tmp_path / "manifest.json")
    with pytest.raises(BundleError, match="has some of the exits on, whose heads hear each other"):
        Manifest.read(tmp_path / "manifest.json")
