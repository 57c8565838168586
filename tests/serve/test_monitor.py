import numpy as np
import pytest

from offramp.decide.drift import DriftTest
from offramp.errors import InputError
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.monitor import Auditor, Audits, Recent
from offramp.serve.watch import Watch
from tests.builds import bundle, images
from tests.serve.world import SAMPLES, Ears, deployment, inputs


def stream(rng: np.random.Generator, risk: float, share: float, samples: int) -> list[bool | None]:
    """What a server sees: of one in `share` early answers whether it disagrees."""
    early, audited, wrong = rng.random(samples) < 0.8, rng.random(samples) < share, rng.random(samples) < risk / 0.8
    return [bool(wrong[at]) if early[at] and audited[at] else None for at in range(samples)]


def test_the_estimate_is_of_all_samples_and_a_kept_promise_raises_no_alarm() -> None:
    alarms: list[str] = []
    auditor = Auditor(Audits(0.1, window=1_000), {"a": 0.05, "b": None}, alarms.append)
    assert auditor.found("a").disagreement is None
    rng = np.random.default_rng(0)
    for _ in range(100):
        for name in "ab":
            auditor.saw(name, stream(rng, 0.04, 0.1, 300))
    for name in "ab":
        assert auditor.found(name).disagreement == pytest.approx(0.04, abs=0.012)
        assert auditor.found(name).samples == 30_000
        assert auditor.found(name).compared == pytest.approx(2_400, rel=0.1)
    assert not alarms
    assert auditor.found("b").promise is None


def test_a_broken_promise_is_told_once_and_only_of_its_point() -> None:
    alarms: list[str] = []
    auditor = Auditor(Audits(0.1), {"a": 0.01, "b": 0.01, "c": None}, alarms.append)
    rng = np.random.default_rng(0)
    for _ in range(40):
        auditor.saw("a", stream(rng, 0.2, 0.1, 300))
        auditor.saw("b", stream(rng, 0.005, 0.1, 300))
        auditor.saw("c", stream(rng, 0.5, 0.1, 300))
    assert alarms == ["a"]
    assert auditor.found("a").alarm is not None
    assert auditor.found("b").alarm is None


def test_samples_that_are_read_together_raise_the_alarm_at_the_same_one() -> None:
    audits = Audits(0.1, window=700)
    seen = stream(np.random.default_rng(1), 0.08, 0.1, 4_000)
    test = DriftTest(0.02, audits.alpha, 10.0, 700)
    one_by_one = test.start()
    for value in seen:
        one_by_one = test.step(one_by_one, [10.0 if value else 0.0])
    auditor = Auditor(audits, {"a": 0.02}, lambda _: None)
    for at in range(0, len(seen), 7):
        auditor.saw("a", seen[at : at + 7])
    assert one_by_one.alarm is not None
    assert auditor.found("a").alarm == one_by_one.alarm


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        Audits(1.5)


def test_recent_numbers_are_forgotten_in_time_and_limited_in_number() -> None:
    now = [0.0]
    recent = Recent(10.0, most=3, clock=lambda: now[0])
    assert recent.quantile(0.5) is None
    for time_, value in ((0.0, 1.0), (6.0, 2.0), (9.0, 3.0)):
        now[0] = time_
        recent.add(value)
    assert recent.values().tolist() == [1.0, 2.0, 3.0]
    now[0] = 12.0
    assert recent.values().tolist() == [2.0, 3.0]
    for value in (4.0, 5.0):
        recent.add(value)
    assert recent.values().tolist() == [3.0, 4.0, 5.0]
    assert recent.quantile(0.5) == 4.0


def test_what_is_watched_of_a_model_that_answers() -> None:
    made = deployment()
    alarms: list[str] = []
    watch = Watch(made, Audits(1.0), alarms.append)
    endpoint = Endpoint(made, watch, audit_share=1.0)
    try:
        ears, forced = Ears(), Ears()
        endpoint.ask(inputs(), Wish("fastest"), ears)
        ears.finals(SAMPLES)
        on = int(np.flatnonzero(made.point("fastest")[1].configuration.enabled)[0])
        endpoint.ask(inputs(), Wish("fastest", max_exit=on), forced)
        forced.finals(SAMPLES)
    finally:
        assert endpoint.engine.close(20.0)
    name = made.point("fastest")[0]
    exits = bundle().use("fastest")(images(SAMPLES, 5)).exit_index.numpy()
    told = watch.auditor.found(name)
    assert told.samples == SAMPLES  # those that had to leave are no evidence
    assert told.compared == int((exits < len(made.exits) - 1).sum())
    early = bundle().use("fastest")(images(SAMPLES, 5)).output.argmax(1)
    wrong = (early != bundle().use("full")(images(SAMPLES, 5)).output.argmax(1)).float().mean().item()
    assert told.disagreement == pytest.approx(wrong)
    assert watch.counted.samples == 2 * SAMPLES
    snapshot = watch.snapshot(name, 0)
    assert sum(one["left"] for one in snapshot["exits"]) == 2 * SAMPLES
    assert sum(one["share"] for one in snapshot["exits"]) == pytest.approx(1.0)
    assert 0 < snapshot["cost"] < 1.1
    configuration = made.points[name].configuration
    assert [one["on"] for one in snapshot["exits"]] == [*configuration.enabled, True]
    costs = made.points[name].leaving
    assert costs is not None
    assert [one["cost"] for one in snapshot["exits"]] == pytest.approx(list(costs))
    shown = {one["name"]: one for one in snapshot["points"]}
    assert list(shown) == list(made.points)
    assert shown[name]["measured"] == pytest.approx(wrong)
    assert shown[name]["differed"] == round(wrong * SAMPLES)
    assert shown[name]["loss"] == bundle().point(name).loss
    assert [one["measured"] for one in snapshot["points"] if one["name"] != name] == [None] * (len(shown) - 1)
    assert not shown[made.point("full")[0]]["early"]
    text = watch.metrics.exposition().decode()
    assert f'offramp_exits_total{{exit="{made.exits[on]}",model="toy",point="{name}"}}' in text


def test_what_is_shown_before_anything_was_asked() -> None:
    made = deployment()
    snapshot = Watch(made, Audits(0.0), lambda _: None).snapshot(made.active, 0)
    assert (snapshot["rate"], snapshot["p50"], snapshot["cost"], snapshot["answered"]) == (0.0, None, None, 0)
    assert [one["share"] for one in snapshot["exits"]] == [None] * len(made.exits)
    assert {one["differed"] for one in snapshot["points"]} == {0}
    assert {one["measured"] for one in snapshot["points"]} == {None}
