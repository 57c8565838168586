"""Builds of other tasks from end to end: what is promised, stored, measured, exported and served."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, hamming_loss, r2_score

from offramp import deployed, tasks
from offramp import tune as tuning
from offramp.bundle import Bundle
from offramp.errors import CaptureError, DataError, InputError
from offramp.evaluation import evaluate
from offramp.exporting import export
from offramp.manifest import Manifest
from offramp.options import Options
from offramp.pipeline import build
from offramp.refitting import refit
from offramp.types import CostProfile
from tests.cli.world import offramp, refused
from tests.tasks.built import TASKS, UNIT, WISHES, bundle, problem, saving
from tests.test_without_torch import ALONE

BOTH = pytest.mark.parametrize("task", TASKS)
FEW = pytest.mark.parametrize("task", [*TASKS[:2], pytest.param(TASKS[2], marks=pytest.mark.slow)])


@BOTH
def test_a_build_saves_and_is_certified_for_its_task(task: str) -> None:
    found = bundle(task)
    manifest = found.manifest
    tolerance = found.task.means.tolerance
    assert manifest.gate.kind == ("each-label" if task == "multilabel" else "within")
    assert manifest.gate.weights == (() if task == "multilabel" else (tolerance,) * len(manifest.exits))
    kinds = {exit_.calibration.kind for exit_ in manifest.exits}
    assert kinds == {"temperature" if task == "multilabel" else "spread"}
    assert manifest.provenance["recipe"]["regime"] == ("distil-each" if task == "multilabel" else "distil-values")
    assert found.point(saving(found)).cost < 0.9
    assert all(point.bound is not None for point in found.points)
    if task == "regression":
        values = problem(task).model()(problem(task).arrays()[0]).detach().numpy()
        assert tolerance[0] == pytest.approx(values.std() / 10, rel=0.1)


@BOTH
def test_a_bundle_comes_back_as_it_was_written(task: str) -> None:
    found, x = bundle(task), problem(task).arrays()[0][:50]
    again = Bundle.load(problem(task).folder / "bundle").attach(problem(task).model())
    assert Manifest.model_validate_json(found.manifest.model_dump_json()) == again.manifest
    assert again.task == found.task
    one, other = (each.use(saving(found))(x) for each in (found, again))
    torch.testing.assert_close(one.output, other.output, rtol=0, atol=0)


@BOTH
@pytest.mark.parametrize("labelled", [False, True])
def test_figures_are_those_of_running_the_bundle(task: str, labelled: bool) -> None:
    found, own = bundle(task), problem(task)
    told = evaluate(found, own.source, labels=labelled, batch_sizes=())
    rows = found.splits["report"]
    x, y = own.arrays()
    for point in told.points:
        ran = found.use(point.name)(x[rows]).output.numpy()
        plain = own.model()(x[rows]).detach().numpy()
        if task == "multilabel":
            said, other, truth = ran > 0, plain > 0, y[rows]
            assert 1.0 - point.agreement == pytest.approx(hamming_loss(other, said))
            assert point.measures["exact_to_model"] == pytest.approx((said == other).all(axis=1).mean())
            if labelled:
                assert 1.0 - (point.accuracy or 0.0) == pytest.approx(hamming_loss(truth, said))
                assert point.measures["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro"))
            continue
        tolerance = np.array(found.task.means.tolerance)
        said, truth = ran[:, : len(tolerance)], y[rows].reshape(len(rows), -1)
        assert point.agreement == pytest.approx((np.abs(said - plain) <= tolerance).all(axis=1).mean(), abs=0.004)
        assert point.measures["mae_to_model"] == pytest.approx(np.abs(said - plain).mean(), rel=1e-3, abs=1e-2)
        if labelled:
            assert point.accuracy == pytest.approx((np.abs(said - truth) <= tolerance).all(axis=1).mean(), abs=0.004)
            assert point.measures["r2"] == pytest.approx(r2_score(truth, said), abs=1e-4)
    assert told.exits == ()
    assert {(one.ece, one.brier, one.nll) for one in told.points} == {(None, None, None)}


@pytest.mark.slow
@BOTH
def test_labels_can_be_learned(task: str, tmp_path: Path) -> None:
    own = problem(task)
    wishes: dict[str, Any] = {**WISHES, "recipe": "labels", "max_drop": 0.1, "points": "share:0.3,0.6"}
    found = build(own.model(), own.source, out=tmp_path / "b", task=task, labels=True, **wishes)
    assert found.manifest.risk == "error"
    assert found.manifest.provenance["recipe"]["regime"] == ("each" if task == "multilabel" else "values")
    told = evaluate(found, own.source, batch_sizes=())
    assert told.accuracy is not None
    for point in told.points:
        assert point.bound is not None
        assert (point.accuracy_drop or 0.0) / 100 <= point.bound.epsilon + 0.05


@FEW
def test_exported_stages_answer_as_the_bundle(task: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    found, x = bundle(task), problem(task).arrays()[0][:200]
    point = saving(found)
    export(found, tmp_path / "stages", [point, "full"])
    engines = [name for name in ("onnx", "openvino") if deployed.available(name)]
    for name, engine in [(point, engine) for engine in engines] + [("full", "onnx")]:
        ran, expected = deployed.load(tmp_path / "stages", name, runtime=engine)(x.numpy()), found.use(name)(x)
        same = np.asarray(ran.exit_index) == np.asarray(expected.exit_index)
        assert same.mean() > 0.98
        output = np.asarray(expected.output)
        scale = np.abs(output).max(axis=0)
        assert (np.abs(np.asarray(ran.output) - output)[same] <= 1e-4 * scale).all()
    np.save(tmp_path / "x.npy", x.numpy())
    (tmp_path / "says.py").write_text(SAYS)
    program = [sys.executable, "-c", ALONE, str(tmp_path / "says.py"), str(tmp_path / "stages"), point]
    said = subprocess.run([*program, str(tmp_path / "x.npy")], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    told = found.task.told(np.asarray(deployed.load(tmp_path / "stages", point)(x.numpy()).output))
    alone = json.loads(said.stdout)
    assert list(alone) == list(told)
    for name, value in told.items():
        np.testing.assert_allclose(alone[name], value, rtol=1e-5)


SAYS = """
import json, sys
from pathlib import Path
import numpy as np
from offramp import deployed, tasks
from offramp.run.routing import Routing

folder, point, data = sys.argv[1:]
output = deployed.load(folder, point)(np.load(data)).output
told = tasks.task(Routing.read(Path(folder)).task).told(output)
print(json.dumps({name: value.tolist() for name, value in told.items()}))
"""
"""What exported stages say where there is no torch."""


@FEW
def test_the_command_line_builds_measures_and_runs(task: str, tmp_path: Path) -> None:
    own, out = problem(task), tmp_path / "bundle"
    flags = ["--recipe", "quick", "--points", "share:0.3,0.6", "--max-drop", "0.1", "--batch-sizes", ""]
    built = offramp("build", *own.net, "--data", own.data, "--out", out, "--task", task, *flags)
    assert built.code == 0, built
    told = offramp("evaluate", out, *own.net, "--data", own.data, "--labels", "--batch-sizes", "", "--json")
    assert told.code == 0, told
    measures = json.loads(told.out)["backbone"]["measures"]
    assert ("micro_f1" if task == "multilabel" else "r2") in measures
    table = offramp("evaluate", out, *own.net, "--data", own.data, "--batch-sizes", "", "--figure", tmp_path / "f.png")
    assert table.code == 0, table
    point = saving(Bundle.load(out))
    ran = offramp("run", out, *own.net, "--data", own.data, "--point", point, "--out", tmp_path / "a.csv")
    assert ran.code == 0, ran
    with (tmp_path / "a.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    live, x = Bundle.load(out).attach(own.model()), own.arrays()[0]
    answers = live.task.predict(live.use(point)(x).output.numpy())
    read = np.array([[float(part) for part in line["prediction"].split(";")] for line in lines])
    np.testing.assert_allclose(read, answers.reshape(len(x), -1), rtol=1e-5)
    if task == "multilabel":
        assert set(lines[0]["prediction"]) <= {"0", "1", ";"}


@FEW
def test_what_a_task_has_no_meaning_for_is_refused(task: str, tmp_path: Path) -> None:
    own, folder = problem(task), problem(task).folder / "bundle"
    to = ["build", *own.net, "--data", own.data, "--out", tmp_path / "b", "--task", task]
    refused(*to, "--recipe", "branchynet-frozen", "--labels", saying="whose gate is one of")
    refused(*to, "--recipe", "jei-dnn", "--labels", saying="whose regime is one of")
    refused(*to, "--recipe", "gati", saying="whose regime is one of")
    refused(*to, "--recipe", "ztw-labelfree", saying="expected heads that answer alone")
    refused(*to, "--recipe", "joint", "--labels", saying="expected a recipe that leaves the backbone as it is")
    refused(*to, "--recipe", "disjoint", "--labels", saying="expected a recipe that leaves the backbone as it is")
    refused(*to, "--recipe", "cascade", "--small", own.net[0], saying="no small model")
    refused(*to, "--points", "proposed", saying="whose answers the survey cannot compare")
    evaluated = ["evaluate", folder, *own.net, "--data", own.data, "--batch-sizes", ""]
    refused(*evaluated, "--conformal", "0.1", saying="expected a task with one right class for prediction sets")
    refused(*evaluated, "--reliability", tmp_path / "r.png", saying="one right class for reliability")
    assert not (tmp_path / "b").exists()


def test_the_default_recipe_goes_without_students() -> None:
    assert Options(recipe="offramp").chosen().students
    for task in TASKS:
        assert not Options(recipe="offramp", task=task).chosen().students


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("multilabel", np.zeros((1197, 3)), "expected a row of 4 labels"),
        ("multilabel", np.full((1197, 4), 2), "expected labels of 0 or 1"),
        ("regression", np.zeros((1197, 3)), "expected one number as the label"),
        ("regression", np.full(1197, np.nan), "expected finite labels"),
    ],
)
def test_labels_that_are_none_are_refused(task: str, y: np.ndarray, message: str, tmp_path: Path) -> None:
    x = problem(task).arrays()[0]
    wishes: dict[str, Any] = {**WISHES, "recipe": "labels"}
    with pytest.raises(DataError, match=message):
        build(problem(task).model(), (x, torch.from_numpy(y)), out=tmp_path, task=task, labels=True, **wishes)


def test_a_number_of_tolerances_that_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    own = problem("regression")
    with pytest.raises(CaptureError, match="expected one tolerance, or 1, one for each value of the model, got 2"):
        build(own.model(), own.source, out=tmp_path, task="regression:0.5,2", **WISHES)  # type: ignore[arg-type]


@FEW
def test_a_refit_goes_on_from_the_heads_as_they_are(task: str, tmp_path: Path) -> None:
    own = problem(task)
    found = refit(bundle(task), own.source, out=tmp_path / "new")
    assert found.bundle.task == bundle(task).task
    assert found.bundle.manifest.gate == bundle(task).manifest.gate
    assert min(point.cost for point in found.after) < 0.95
    kinds = [exit_.calibration.kind for exit_ in found.bundle.manifest.exits]
    assert kinds == [exit_.calibration.kind for exit_ in bundle(task).manifest.exits]


@BOTH
def test_points_can_be_chosen_anew_by_seconds(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In proportion to MACs, by which nothing changes."""
    found, macs = bundle(task), bundle(task).cost
    seconds = CostProfile("s", macs.upto / 2**30, macs.head / 2**30, macs.gate / 2**30, "abacus")
    monkeypatch.setattr(tuning, "measured", lambda *_: [seconds])
    tuned = tuning.tune(found, problem(task).source)
    assert tuned.points == found.points
    assert tuned.gate == found.gate
    assert tuned.task == found.task


@pytest.mark.slow
@BOTH
def test_heads_can_be_searched_for(task: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    own = problem(task)
    wishes: dict[str, Any] = {**WISHES, "points": "share:0.4", "max_drop": 0.2}
    found = build(own.model(), own.source, out=tmp_path / "b", task=task, search_heads=3, **wishes)
    searched = found.manifest.provenance["head_search"]
    assert [one["trials"] for one in searched] == [3]
    assert searched[0]["best"]["saving"] > 0


def test_a_value_stays_in_its_unit() -> None:
    found, (x, y) = bundle("regression"), problem("regression").arrays()
    said = found.task.told(found.use(saving(found))(x).output.numpy())
    assert np.corrcoef(said["value"], y)[0, 1] > 0.9
    assert said["value"].max() > 7 * UNIT
    early = np.asarray(found.use(saving(found))(x).exit_index) < len(found.manifest.exits)
    off = np.abs(said["value"] - problem("regression").model()(x).detach().numpy()[:, 0])
    assert np.sqrt((off[early] ** 2).mean()) == pytest.approx(np.sqrt((said["spread"][early] ** 2).mean()), rel=0.5)
    assert (said["spread"][~early] < 1e-20).all()


def test_a_settled_task_has_a_name_that_says_all() -> None:
    found = bundle("regression")
    assert found.manifest.model.task.startswith("regression:")
    assert tasks.task(found.manifest.model.task) == found.task
    with pytest.raises(InputError):
        tasks.task(found.manifest.model.task + ",0")
