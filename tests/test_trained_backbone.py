"""Builds whose recipe trains a copy of the backbone, from the data to the bundle and back."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from offramp import recipes
from offramp.backends import executors
from offramp.bundle import BACKBONE, HEADS, MANIFEST, SPLITS, Bundle
from offramp.errors import BundleError, DataError, ForeignBackboneError, InputError
from offramp.evaluation import evaluate
from offramp.load.arrays import open_array
from offramp.model.fingerprint import model_fingerprint
from offramp.recipe import Student
from offramp.train.exit_losses import FromOriginal
from offramp.train.finetuning import GENTLE, Finetuning
from offramp.train.optimisers import optimiser
from offramp.tune import tune
from tests.builds import RECIPE, images, make
from tests.test_bundle import peeking
from tests.toys import CNN, untouched, whole

FAST = replace(GENTLE, optimiser=optimiser("SGD", lr=0.02))
SHORT = Finetuning(epochs=4, least=1, like=FAST, batch_size=16)
TRAINED = replace(RECIPE, regime="mixed", trunk=SHORT, labels=True, points=2)
LABELFREE = replace(
    TRAINED, regime="joint", trunk=replace(SHORT, like=replace(FAST, loss=FromOriginal())), labels=False
)

X = images()
Y = ((X[:, 0].mean((1, 2)) > 0).long() + 2 * (X[:, 1].mean((1, 2)) > 0).long()).numpy()
"""Classes that can be learnt."""


def labelled(out: Path, **arguments: Any) -> Bundle:
    return make(out, **{"data": (X, Y), "labels": True, "recipe": TRAINED, "max_drop": 0.2, **arguments})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "bundle"
    labelled(folder)
    return folder


@pytest.fixture(scope="module")
def built(saved: Path) -> Bundle:
    return Bundle.load(saved).attach(CNN.model())


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def trained_model(bundle: Bundle) -> nn.Module:
    """The trained backbone, put together by hand."""
    model = CNN.model()
    assert bundle.backbone is not None
    model.load_state_dict(dict(bundle.backbone))
    return model


def test_the_bundle_holds_the_weights_and_says_what_was_done(saved: Path, built: Bundle) -> None:
    entry = built.manifest.trained
    assert entry is not None
    assert sorted(path.name for path in saved.iterdir()) == sorted([BACKBONE, HEADS, MANIFEST, SPLITS])
    assert built.manifest.model.fingerprint == model_fingerprint(CNN.model())
    assert entry.fingerprint == model_fingerprint(trained_model(built)) != built.manifest.model.fingerprint
    assert entry.regime == "mixed"
    training = round(0.9 * len(built.splits["train"]))
    assert [(phase.name, phase.steps) for phase in entry.phases] == [
        (n, 2 * (training // 16)) for n in ("backbone", "all")
    ]
    moved = {
        name
        for name, tensor in CNN.model().state_dict().items()
        if not torch.equal(tensor, load_file(saved / BACKBONE)[name])
    }
    assert moved == set(CNN.model().state_dict())


def test_full_is_the_trained_copy_and_the_users_model_stays_as_it_was(saved: Path) -> None:
    model, inputs = CNN.model().train(), images(30, seed=3)
    with untouched(model):
        fast = Bundle.load(saved).use("full", model)
        found = fast(inputs).output
        fast.use("fastest")(inputs)
    torch.testing.assert_close(found, whole(trained_model(Bundle.load(saved)), inputs), rtol=0, atol=0)
    assert not torch.equal(found, whole(CNN.model(), inputs))


def test_what_is_loaded_answers_as_what_was_built(tmp_path: Path, built: Bundle) -> None:
    model = CNN.model()
    with untouched(model):
        again = labelled(tmp_path / "again", model=model)
    assert again.manifest.model_dump_json() == built.manifest.model_dump_json()
    inputs, one, other = images(40, seed=8), again.use("full"), built.use("full")
    for point in again.points:
        mine, read = one.use(point.name)(inputs), other.use(point.name)(inputs)
        torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)
        torch.testing.assert_close(read.exit_index, mine.exit_index, rtol=0, atol=0)


@pytest.mark.parametrize("part", ["choose", "report"])
def test_figures_are_those_of_running_it_on_the_part(part: str, built: Bundle) -> None:
    rows, fast = built.splits[part], built.use("full")
    for point in built.points if part == "choose" else built.report:
        said = fast.use(point.name)(X[torch.from_numpy(rows)]).output.argmax(1).numpy()
        assert (said != Y[rows]).mean() == pytest.approx(point.loss)
    assert built.manifest.trained is not None
    own = whole(CNN.model(), X[torch.from_numpy(built.splits["report"])]).argmax(1).numpy()
    assert built.manifest.trained.plain == pytest.approx((own != Y[built.splits["report"]]).mean())


def test_certificates_are_against_the_users_model_also_where_nobody_leaves(built: Bundle) -> None:
    """Counted sample by sample on the certify part: the model was right, and the answer is wrong."""
    rows = built.splits["certify"]
    inputs, labels = X[torch.from_numpy(rows)], Y[rows]
    right, fast = whole(CNN.model(), inputs).argmax(1).numpy() == labels, built.use("full")
    for point in built.points:
        wrong = fast.use(point.name)(inputs).output.argmax(1).numpy() != labels
        assert point.bound is None or (right & wrong).mean() <= point.bound.epsilon
    full = built.point("full")
    assert full.bound is None or full.bound.method != "exact by construction: never leaves early"


def test_an_evaluation_holds_it_against_the_users_model(built: Bundle) -> None:
    found = evaluate(built, open_array(X, torch.from_numpy(Y), None, "x"), part="all", batch_sizes=())
    own = whole(CNN.model(), X).argmax(1).numpy()
    assert found.accuracy == pytest.approx((own == Y).mean())
    fast = built.use("full")
    for point in found.points:
        said = fast.use(point.name)(X).output.argmax(1).numpy()
        assert point.agreement == pytest.approx((said == own).mean())
        assert point.accuracy == pytest.approx((said == Y).mean())
        assert point.accuracy_drop == pytest.approx(100 * ((own == Y).mean() - (said == Y).mean()))
    assert found.points[0].agreement < 1.0


def test_without_labels_the_copy_is_held_to_the_users_model(tmp_path: Path) -> None:
    built = make(tmp_path / "a", recipe=LABELFREE, data=X)
    assert built.manifest.risk == "disagreement"
    assert built.manifest.trained is not None
    assert built.manifest.trained.plain == 0.0
    rows = torch.from_numpy(built.splits["report"])
    own, fast = whole(CNN.model(), X[rows]).argmax(1), built.use("full")
    for point in built.report:
        differs = (fast.use(point.name)(X[rows]).output.argmax(1) != own).float().mean().item()
        assert differs == pytest.approx(point.loss)


def test_a_model_that_is_left_by_hooks_is_trained_like_any_other(tmp_path: Path) -> None:
    built = labelled(tmp_path / "a", model=peeking(), recipe=LABELFREE)
    assert built.manifest.model.route == "hooks"
    loaded, inputs = Bundle.load(tmp_path / "a").use("full", peeking()), images(30, seed=3)
    torch.testing.assert_close(loaded(inputs).output, whole(trained_model(built), inputs), rtol=0, atol=0)
    mine, read = built.use("fastest")(inputs), loaded.use("fastest")(inputs)
    torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)


def test_exported_stages_are_those_of_the_trained_copy(built: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    inputs = images(6)
    for executor in executors(built.live, ["onnx"], tmp_path, 1).values():
        found = executor((False,) * len(built.manifest.exits)).whole(inputs.numpy()).logits
        torch.testing.assert_close(torch.from_numpy(found), whole(trained_model(built), inputs), rtol=1e-3, atol=1e-3)


def test_points_chosen_anew_are_certified_against_the_users_model(built: Bundle) -> None:
    found = tune(built, open_array(X, torch.from_numpy(Y), None, "tensor"), rounds=2)
    assert found.manifest.trained == built.manifest.trained
    assert found.backbone is built.backbone
    assert found.point("full").bound == built.point("full").bound


@pytest.mark.parametrize("name", [name for name, made in recipes.NAMES.items() if made.trunk is not None])
def test_every_recipe_that_trains_the_backbone_is_built_and_loaded(name: str, tmp_path: Path) -> None:
    chosen = replace(recipes.recipe(name), points=2, trunk=replace(SHORT, epochs=1))
    built = labelled(tmp_path / "a", recipe=chosen)
    assert built.manifest.trained is not None
    loaded = Bundle.load(tmp_path / "a").use("fastest", CNN.model())
    inputs = images(20, seed=3)
    torch.testing.assert_close(loaded(inputs).output, built.use("fastest")(inputs).output, rtol=0, atol=0)


def test_the_recipes_are_there() -> None:
    trained = {name for name, made in recipes.NAMES.items() if made.trunk is not None}
    assert trained == {"branchynet", "sdn-joint", "pabee", "disjoint", "joint", "mixed"}
    assert all(recipes.recipe(name).labels and recipes.recipe(name).needs_labels for name in trained)


def test_interrupted_in_its_training_it_ends_the_same(tmp_path: Path, built: Bundle) -> None:
    for number, (stage, step) in enumerate(
        (("training backbone", 18), ("training all", 9), ("backbone over choose", 0))
    ):

        def stop(found: str, done: int, _total: int, stage: str = stage, step: int = step) -> None:
            if found == stage and done >= step:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            labelled(tmp_path / str(number), progress=stop)
        trained: list[str] = []
        again = labelled(tmp_path / str(number), progress=lambda found, *_: trained.append(found))  # noqa: B023
        assert again.manifest.model_dump_json() == built.manifest.model_dump_json()
        assert ("training backbone" in trained) == (stage == "training backbone" and step < 18)


def changed(folder: Path) -> None:
    tensors = load_file(folder / BACKBONE)
    first = sorted(name for name, tensor in tensors.items() if tensor.is_floating_point())[0]
    tensors[first].view(-1)[0] += 1e-3
    save_file(tensors, folder / BACKBONE)


def fewer(folder: Path) -> None:
    tensors = load_file(folder / BACKBONE)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, folder / BACKBONE)


def missing(folder: Path) -> None:
    (folder / BACKBONE).unlink()


def cut_short(folder: Path) -> None:
    (folder / BACKBONE).write_bytes((folder / BACKBONE).read_bytes()[:-8])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (changed, "expected the trained weights with fingerprint"),
        (fewer, "expected the trained weights with fingerprint"),
        (missing, "cannot read the tensors"),
        (cut_short, "cannot read the tensors"),
    ],
)
def test_damaged_weights_are_one_clear_error(damage: Callable[[Path], None], message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_weights_that_say_they_are_right_and_do_not_fit_are_refused(built: Bundle) -> None:
    with pytest.raises(BundleError, match="the trained weights do not fit"):
        replace(built, backbone={"other": torch.zeros(2)}).attach(CNN.model())


def test_only_the_users_model_can_be_attached(built: Bundle) -> None:
    for other in (CNN.model(seed=1), trained_model(built)):
        with pytest.raises(ForeignBackboneError, match="load the weights the bundle was built for"):
            built.attach(other)


def test_a_bundle_over_it_leaves_no_weights_behind(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "plain").save(folder)
    assert not (folder / BACKBONE).exists()
    assert Bundle.load(folder).manifest.trained is None


def test_labels_and_extra_data_are_refused_where_they_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected labels for the regime 'mixed'"):
        make(tmp_path / "a", recipe=TRAINED, data=X)
    with pytest.raises(DataError, match="expected no extra data with a recipe that trains the backbone"):
        make(tmp_path / "a", recipe=LABELFREE, data=X, extra_data=[images(20, seed=4)])
    with pytest.raises(InputError, match="expected a regime among alternating"):
        replace(TRAINED, regime="distil")
    with pytest.raises(InputError, match="expected no student"):
        replace(TRAINED, students=(Student(),))
    with pytest.raises(InputError, match="expected the gate 'jei' with a regime"):
        replace(TRAINED, gate="jei")


def test_manifests_of_version_2_have_no_trained_backbone(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    before = make(folder)
    values = json.loads((folder / MANIFEST).read_text())
    assert values["schema_version"] == 3
    del values["trained"]
    (folder / MANIFEST).write_text(json.dumps(values | {"schema_version": 2}))
    assert Bundle.load(folder).manifest.model_dump_json() == before.manifest.model_dump_json()
    (folder / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(BundleError, match="trained"):
        Bundle.load(folder)
