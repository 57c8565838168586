from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp.bundle import HEADS, MANIFEST, SPLITS, Bundle
from offramp.decide.replay import replay
from offramp.deciding import table
from offramp.errors import BundleError, CaptureError, DataError, InputError, OfframpError
from offramp.gates.margin import Margin
from offramp.inputs import Inputs
from offramp.learning import AUGMENT_MACS, attach, copies_within
from offramp.model.augment import Augment
from offramp.model.selection import spread
from offramp.options import Options
from offramp.pipeline import WORK, build
from offramp.reading import reader
from offramp.split import PARTS
from offramp.tasks.classification import Classification
from offramp.types import Configuration
from tests.builds import RECIPE, SAMPLES, bundle, images, make, text_of
from tests.toys import CLICKS, CNN, MLP, NAMES, TEXT, VIT, Toy, calibrators_of, live, recording, untouched


def test_a_build_is_decided_by_its_arguments(tmp_path: Path) -> None:
    again, other = make(tmp_path / "a"), make(tmp_path / "b", seed=1)
    assert text_of(again) == text_of(bundle())
    torch.testing.assert_close(dict(again.heads), dict(bundle().heads), rtol=0, atol=0)
    assert other.splits["train"].tolist() != again.splits["train"].tolist()
    assert not torch.equal(other.heads["0.net.0.weight"], again.heads["0.net.0.weight"])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([HEADS, MANIFEST, SPLITS])


def test_what_is_returned_is_what_was_written(tmp_path: Path) -> None:
    built = make(tmp_path / "a")
    assert text_of(Bundle.load(tmp_path / "a")) == text_of(built)
    inputs, loaded = images(30, seed=3), Bundle.load(tmp_path / "a").use("full", CNN.model())
    for point in built.points:
        mine, read = built.use(point.name)(inputs), loaded.use(point.name)(inputs)
        torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)


def test_parts_are_disjoint_and_used_for_their_own_purpose() -> None:
    parts = bundle().splits
    assert sorted(np.concatenate([parts[part] for part in PARTS]).tolist()) == list(range(SAMPLES))
    assert {point.split for point in bundle().points} == {"choose"}
    assert {point.split for point in bundle().report} == {"report"}
    bounds = [point.bound for point in bundle().points]
    assert {bound.n for bound in bounds if bound} == {len(parts["certify"])}
    assert [point.name for point in bundle().report] == [point.name for point in bundle().points]
    assert bundle().manifest.split.counts == {part: len(parts[part]) for part in PARTS}


@pytest.mark.parametrize("part", ["choose", "report"])
def test_figures_are_those_of_running_the_bundle_on_the_part(part: str) -> None:
    """Runtime = replay, end to end: what the manifest promises is what the loop does."""
    here = images()[torch.from_numpy(bundle().splits[part])]
    plain = bundle().use("full")(here).output.argmax(1)
    for point in bundle().points if part == "choose" else bundle().report:
        found = bundle().use(point.name)(here)
        share = np.bincount(found.exit_index.numpy(), minlength=len(point.exit_share)) / len(here)
        assert np.abs(share - np.array(point.exit_share)).sum() <= 2.0 / len(here)
        assert abs((found.output.argmax(1) != plain).float().mean().item() - point.loss) <= 1.0 / len(here)


def test_the_promised_names_are_there() -> None:
    built = bundle()
    assert built.point("full").cost == 1.0
    assert not any(built.point("full").configuration.enabled)
    balanced = built.point("balanced")
    assert balanced.bound is not None
    assert balanced.bound.epsilon <= 0.1 * (1 + 1e-9)
    assert built.manifest.goal == {"max_drop": 0.1, "delta": 0.1}


class Pairs:
    """A map-style data set of (x, y), whose labels may be read or not."""

    def __init__(self, values: torch.Tensor, labels: list[int] | None) -> None:
        self.values, self.given, self.read = values, labels, 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Any]:
        return self.values[index], self.label(index)

    def label(self, index: int) -> "int | Untouchable":
        self.read += 1
        return Untouchable() if self.given is None else self.given[index]


class Untouchable:
    """A label that cannot be looked at."""

    def _fail(self, *_: object) -> Any:
        raise AssertionError("a label was read")

    __int__ = __index__ = __eq__ = __hash__ = __array__ = __float__ = _fail


def test_labels_are_not_read_unless_asked_for(tmp_path: Path) -> None:
    built = make(tmp_path / "a", data=Pairs(images(), None))
    assert built.manifest.risk == "disagreement"
    torch.testing.assert_close(dict(built.heads), dict(bundle().heads), rtol=0, atol=0)


def test_with_labels_heads_learn_them_and_the_risk_is_error(tmp_path: Path) -> None:
    labels = np.arange(SAMPLES) % 5
    labelled = replace(RECIPE, regime="disjoint")
    built = make(tmp_path / "a", data=(images(), labels), labels=True, recipe=labelled)
    assert built.manifest.risk == "error"
    assert not torch.equal(built.heads["0.net.0.weight"], bundle().heads["0.net.0.weight"])
    choose = built.splits["choose"]
    with torch.no_grad():
        plain = CNN.model()(images()[torch.from_numpy(choose)]).argmax(1).numpy()
    assert built.point("full").loss == pytest.approx((plain != labels[choose]).mean())


def test_labels_that_are_missing_or_none_of_the_classes_are_refused_before_any_pass(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels"):
        make(tmp_path / "a", labels=True)
    with pytest.raises(DataError, match=r"expected labels in 0\.\.4"):
        make(tmp_path / "b", data=(images(), np.arange(SAMPLES)), labels=True)
    with pytest.raises(DataError, match="labels"):
        make(tmp_path / "c", recipe=replace(RECIPE, regime="disjoint"))
    assert not any((tmp_path / name / WORK / "choose").exists() for name in "abc")


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_alone_and_runs_only_to_record(training: bool, tmp_path: Path) -> None:
    model = CNN.model().train(training)
    seen: list[str] = []
    now = ["before"]
    model.register_forward_pre_hook(lambda *_: seen.append(now[0]))

    def note(stage: str, done: int, total: int) -> None:
        now[0] = stage

    with untouched(model):
        make(tmp_path / "a", model=model, progress=note)
    assert any(stage.startswith("backbone over") for stage in seen)
    assert now[0] == "training heads"
    assert "training heads" not in seen


def bad_images(value: float) -> torch.Tensor:
    data = images()
    data[100, 0, 0, 0] = value
    return data


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": bad_images(float("nan"))}, DataError, "sample 100"),
        ({"data": bad_images(float("inf"))}, DataError, "sample 100"),
        ({"data": images(3)}, DataError, "expected samples for every part"),
        ({"data": torch.zeros(SAMPLES, 4)}, OfframpError, "takes|capture"),
        ({"data": torch.zeros(0, 3, 12, 12)}, DataError, "batch size of at least 1|at least one"),
        ({"max_drop": 0.0}, InputError, "max_drop as a share"),
        ({"max_drop": 2.0}, InputError, "max_drop as a share"),
        ({"delta": 0.0}, InputError, "delta"),
        ({"recipe": "magic"}, InputError, "expected a recipe among"),
        ({"extra_data": [torch.zeros(5, 4)]}, DataError, "expected inputs"),
        ({"model": torch.nn.Flatten()}, CaptureError, "Flatten"),
    ],
)
def test_bad_arguments_are_one_clear_error_and_leave_no_bundle(
    arguments: dict[str, Any], error: type[OfframpError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        make(tmp_path / "a", **arguments)
    assert not (tmp_path / "a" / MANIFEST).exists()


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="cannot write to"):
        make(tmp_path / "file")


def test_extra_data_trains_heads_and_nothing_else(tmp_path: Path) -> None:
    built = make(tmp_path / "a", extra_data=[images(60, seed=4), images(20, seed=5)])
    assert [entry.samples for entry in built.manifest.extra_data] == [60, 20]
    assert {part: indices.tolist() for part, indices in built.splits.items()} == {
        part: indices.tolist() for part, indices in bundle().splits.items()
    }
    assert not torch.equal(built.heads["0.net.0.weight"], bundle().heads["0.net.0.weight"])
    bounds = [point.bound.n for point in built.points if point.bound]
    assert set(bounds) == {len(built.splits["certify"])}


@pytest.mark.parametrize("toy", [MLP, VIT, TEXT, CLICKS])
def test_every_kind_of_toy_can_be_built(toy: Toy, tmp_path: Path) -> None:
    data: Inputs = toy.inputs(200)
    wrapped = (data, None) if isinstance(data, tuple) else data
    model = toy.model()
    with untouched(model):
        built = make(tmp_path / "a", model=model, data=wrapped)
        loaded = Bundle.load(tmp_path / "a").use("full", model)
        inputs = toy.inputs(11, seed=6)
        for point in built.points:
            mine, read = built.use(point.name)(inputs), loaded.use(point.name)(inputs)
            torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)


def test_copies_stay_within_the_budget() -> None:
    augment = Augment(copies=8)
    backbone, text = live("cnn").backbone, live("text").backbone
    assert [one.copies for one in copies_within(augment, backbone, [100, 100])] == [8, 8]
    many = int(AUGMENT_MACS / backbone.macs / 4.5)
    assert [one.copies for one in copies_within(augment, backbone, [many, many])] == [4, 0]
    few = many // 100
    assert [one.copies for one in copies_within(augment, backbone, [few, many, many])] == [8, 2, 2]
    assert [one.copies for one in copies_within(augment, text, [10])] == [0]


def test_heads_come_from_the_seed_and_sit_at_the_given_points() -> None:
    before, backbone = torch.get_rng_state(), live("cnn").backbone
    points = spread(backbone.points, RECIPE.points)
    one, same, other = (
        attach(backbone, points, Options(recipe=RECIPE, seed=seed), reader(Classification())) for seed in (0, 0, 1)
    )
    torch.testing.assert_close(one.heads.state_dict(), same.heads.state_dict(), rtol=0, atol=0)
    assert not torch.equal(one.head(0).net[0].weight, other.head(0).net[0].weight)  # type: ignore[arg-type]
    assert one.points == points
    assert [exit_.head for exit_ in one.exits] == ["grid-linear", "pooled-mlp"] * len(one.points)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


def test_a_table_is_scores_and_losses_of_a_recording() -> None:
    model, made = live("cnn"), recording("cnn")
    labels = np.arange(48) % 5
    for given, risk in ((None, "disagreement"), (labels, "error")):
        found = table(made, Classification(), Margin(), calibrators_of("cnn"), model.macs(), given)
        target = made.reference.argmax(1) if given is None else given
        assert (found.risk, found.split) == (risk, "choose")
        np.testing.assert_array_equal(found.loss, (made.outputs.argmax(2) != target).astype(float))
        full = replay(found, Configuration.full(found.exits - 1))
        np.testing.assert_array_equal(full.loss, found.loss[-1])


def test_wishes_are_fields_of_options(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="colour"):
        build(CNN.model(), images(), out=tmp_path / "a", colour="red")
    options = Options(max_drop=0.1, recipe=RECIPE, batch_size=64, timed=())
    found = build(CNN.model(), images(), out=tmp_path / "b", options=options)
    assert text_of(found) == text_of(bundle())


def test_seconds_are_measured_at_every_batch_size_asked_for_and_decide_nothing(tmp_path: Path) -> None:
    built = make(tmp_path / "a", timed=(1, 3))
    assert [(cost.unit, cost.batch_size) for cost in built.costs] == [("macs", 1), ("s", 1), ("s", 3)]
    for cost in built.costs[1:]:
        assert np.all(np.diff(cost.upto) >= 0)
        assert np.all(cost.head[:-1] > 0)
        assert np.all(cost.gate[:-1] > 0)
    assert text_of(Bundle.load(tmp_path / "a")) == text_of(built)
    macs = built.manifest.model_copy(update={"costs": built.manifest.costs[:1]})
    assert macs.model_dump_json() == bundle().manifest.model_dump_json()
    with pytest.raises(InputError, match=r"batch sizes of at least 1 .* \(0,\)"):
        make(tmp_path / "b", timed=(0,))


def test_toys_have_the_names_they_are_asked_for_by() -> None:
    makers: list[Callable[[], torch.nn.Module]] = [toy.make for toy in NAMES.values()]
    assert all(sum(p.numel() for p in make_().parameters()) < 20_000 for make_ in makers)
