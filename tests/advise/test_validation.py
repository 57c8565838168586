"""Conditions against figures counted by hand; what is asked for nothing, and what of nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.advise.validation import Asked, Condition, validate
from offramp.bundle import Bundle
from offramp.errors import InputError, UnknownNameError
from offramp.load.arrays import open_array
from offramp.sources import Source
from tests import builds
from tests.toys import logits_of


def data(labels: bool = True) -> tuple[Source, np.ndarray]:
    """Other images than those of the build; labels are what the model says, every tenth is another class."""
    bundle, images = builds.bundle(), builds.images(400, seed=5)
    assert bundle.multi_exit is not None
    said = bundle.multi_exit.outputs(images, logits_of)[-1].argmax(1).numpy()
    truth = np.where(np.arange(400) % 10 == 0, (said + 1) % 5, said)
    return open_array(images, truth if labels else None, None, "x"), truth


def by_hand(bundle: Bundle, name: str, truth: np.ndarray) -> tuple[float, float]:
    """Points of accuracy lost and per cent answered otherwise, by running the model."""
    images = builds.images(400, seed=5)
    answer = np.asarray(bundle.use(name)(images).output).argmax(1)
    plain = np.asarray(bundle.use("full")(images).output).argmax(1)
    lost = 100.0 * float((plain == truth).mean() - (answer == truth).mean())
    return lost, 100.0 * float((answer != plain).mean())


@pytest.mark.parametrize("name", ["balanced", "fastest"])
def test_what_is_found_is_what_running_the_model_gives(name: str) -> None:
    bundle = builds.bundle()
    source, truth = data()
    lost, otherwise = by_hand(bundle, name, truth)
    found = validate(bundle, source, Asked(name, max_drop=3.0))
    assert found.samples == 400
    assert found.part == "all"
    (condition,) = found.conditions
    assert condition.name == "drop of accuracy"
    assert condition.found == pytest.approx(lost)
    assert found.holds == (lost <= 3.0)
    (unread,) = validate(bundle, source, Asked(name, max_drop=3.0, labels=False)).conditions
    assert unread.name == "disagreement"
    assert unread.found == pytest.approx(otherwise)
    assert unread.noise == pytest.approx((otherwise * (100 - otherwise) / 400) ** 0.5)


def test_a_limit_that_is_just_met_holds_and_one_just_missed_does_not() -> None:
    bundle = builds.bundle()
    source, truth = data(labels=False)
    _, otherwise = by_hand(bundle, "fastest", truth)
    assert otherwise > 0
    assert validate(bundle, source, Asked("fastest", max_drop=otherwise)).holds
    assert not validate(bundle, source, Asked("fastest", max_drop=otherwise - 0.01)).holds


def test_of_the_builds_own_data_the_report_part_is_used() -> None:
    bundle = builds.bundle()
    found = validate(bundle, open_array(builds.images(), None, None, "x"), Asked(max_drop=50.0))
    assert (found.part, found.samples) == ("report", len(bundle.splits["report"]))


def test_without_data_the_certificate_is_read() -> None:
    bundle = builds.bundle()
    bound = bundle.point("balanced").bound
    assert bound is not None
    proved = 100.0 * bound.epsilon
    assert validate(bundle, None, Asked(max_drop=proved)).holds
    assert not validate(bundle, None, Asked(max_drop=proved / 2)).holds or proved == 0.0
    assert validate(bundle, None, Asked("full", max_drop=0.0)).holds


def test_a_point_without_a_certificate_fails_where_one_is_asked() -> None:
    bundle = builds.bundle()
    entries = tuple(entry.model_copy(update={"bound": None}) for entry in bundle.manifest.operating_points)
    bare = replace(bundle, manifest=bundle.manifest.model_copy(update={"operating_points": entries}))
    found = validate(bare, data()[0], Asked(max_drop=100.0, certified=True))
    assert [condition.holds for condition in found.conditions] == [False, True]
    assert found.conditions[0].failure == "certified disagreement: nothing is certified"


def test_speed_has_its_spread_and_is_held_against_its_limit() -> None:
    wish = Asked(min_speedup=1e-6, rounds=6, batch_size=4)
    found = validate(builds.bundle(), data()[0], wish)
    (condition,) = found.conditions
    assert condition.name == "speed-up on eager at batch 4"
    assert condition.found is not None
    assert condition.found > 0
    assert condition.noise is not None
    assert condition.noise >= 0
    assert found.holds
    assert not validate(builds.bundle(), data()[0], replace(wish, min_speedup=1e6)).holds


def test_conditions_say_by_how_much_they_fail() -> None:
    slow = Condition("speed-up on onnx at batch 1", "times", False, 1.2, 1.05, 0.02)
    assert not slow.holds
    assert slow.failure == "speed-up on onnx at batch 1: 1.05 times, 0.15 less than 1.2"
    assert Condition("x", "points", True, 0.5, -0.3, 0.1).holds  # what is gained is no drop


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({}, "expected something to validate"),
        ({"max_drop": -1.0}, "expected --max-drop in percentage points, from 0 to 100, got -1"),
        ({"min_speedup": 0.0}, "expected --min-speedup above 0"),
        ({"min_speedup": 1.1, "certified": True}, "expected --max-drop with --certified"),
    ],
)
def test_wrong_questions_are_refused(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Asked(**wishes)


def test_time_without_data_and_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="expected --data to measure time on"):
        validate(builds.bundle(), None, Asked(min_speedup=1.2))
    with pytest.raises(UnknownNameError, match="operating point"):
        validate(builds.bundle(), None, Asked("nothing", max_drop=1.0))
    with pytest.raises(UnknownNameError, match="back end"):
        validate(builds.bundle(), data()[0], Asked(min_speedup=1.2, backend="abacus"))
