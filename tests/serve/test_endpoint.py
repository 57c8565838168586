"""Requests of many kinds on a real model: who answers what, and that one who fails harms no other."""

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offramp.serve.batcher import Batching
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.errors import BadRequestError, BusyError, NotFoundError, RefusedError, TooLargeError, TooLateError
from offramp.serve.sample import Answer, Ran
from tests.builds import bundle, images
from tests.serve.world import SAMPLES, Ears, Notes, deployment, exits, inputs, served


@pytest.mark.parametrize("point", ["full", "balanced", "fastest"])
def test_answers_are_those_of_the_bundle(point: str) -> None:
    expected = bundle().use(point)(images(SAMPLES, 5))
    with served() as (endpoint, _):
        ears = Ears()
        endpoint.ask(inputs(), Wish(point), ears)
        found = ears.finals(SAMPLES)
    assert exits(found) == expected.exit_index.tolist()
    logits = np.stack([one.logits for one in found if isinstance(one, Answer)])
    np.testing.assert_allclose(logits, expected.output.numpy(), rtol=1e-4, atol=1e-5)


def test_requests_with_different_wishes_share_batches_and_get_their_own() -> None:
    names = ["balanced", "fastest"]
    with served(batching=Batching(max_batch_size=64, max_delay=0.3)) as (endpoint, notes):
        several = {name: Ears() for name in names}
        for name, ears in several.items():
            endpoint.ask(inputs(), Wish(name), ears)
        for name, ears in several.items():
            assert exits(ears.finals(SAMPLES)) == bundle().use(name)(images(SAMPLES, 5)).exit_index.tolist()
    assert {sample.point for sample in notes.batches[0].samples} == {bundle().point(name).name for name in names}


def test_anytime_tells_every_exit_that_is_passed_and_the_last_is_final() -> None:
    with served() as (endpoint, _):
        ears = Ears()
        endpoint.ask(inputs(), Wish("balanced", anytime=True), ears)
        found = ears.finals(SAMPLES)
    for number, last in enumerate(found):
        passed = exits(ears.heard[number])
        assert passed == sorted(set(passed))
        assert passed[-1] == exits([last])[0]
        assert [one.final for one in ears.heard[number] if isinstance(one, Answer)] == [False] * (len(passed) - 1) + [
            True
        ]
    assert any(len(said) > 1 for said in ears.heard.values())


def test_max_exit_is_where_everyone_leaves_at_the_latest() -> None:
    made = deployment()
    on = [
        exit_ for exit_, enabled in enumerate(made.points[made.point("balanced")[0]].configuration.enabled) if enabled
    ]
    with served() as (endpoint, _):
        ears = Ears()
        endpoint.ask(inputs(), Wish("balanced", max_exit=on[0]), ears)
        found = ears.finals(SAMPLES)
        assert set(exits(found)) == {on[0]}
        free = bundle().use("balanced")(images(SAMPLES, 5)).exit_index.numpy()
        assert [one.forced for one in found if isinstance(one, Answer)] == (free != on[0]).tolist()
        with pytest.raises(BadRequestError, match=f"at least {len(made.exits) - 1}"):
            endpoint.ask(inputs(), Wish("full", max_exit=0), ears)
        with pytest.raises(BadRequestError, match="at least"):
            endpoint.ask(inputs(), Wish("balanced", max_exit=-1), ears)


def test_a_deadline_that_passes_in_the_queue_is_told() -> None:
    with served(batching=Batching(max_delay=0.3)) as (endpoint, notes):
        ears = Ears()
        asked = endpoint.ask(inputs(2), Wish("balanced", deadline=0.05), ears)
        assert all(isinstance(one, TooLateError) for one in ears.finals(2))
        assert notes.gone == list(asked.samples)
        free = Ears()
        endpoint.ask(inputs(2), Wish("balanced", deadline=60.0), free)
        assert [one.forced for one in free.finals(2) if isinstance(one, Answer)] == [False, False]


def test_a_deadline_that_passes_on_the_way_makes_everyone_leave_at_the_next_exit() -> None:
    made = deployment()

    def slow(stacked: Any) -> Any:
        time.sleep(0.3)
        return made.arranged(stacked)

    with served(replace(made, arranged=slow)) as (endpoint, _):
        ears = Ears()
        endpoint.ask(inputs(20), Wish("balanced", deadline=0.2), ears)
        found = ears.finals(20)
    first = int(np.flatnonzero(made.point("balanced")[1].configuration.enabled)[0])
    assert exits(found) == [first] * 20
    assert any(one.forced for one in found if isinstance(one, Answer))


def test_nobody_hears_of_what_was_cancelled_in_the_queue() -> None:
    with served(batching=Batching(max_batch_size=64, max_delay=0.5)) as (endpoint, notes):
        ears, others = Ears(), Ears()
        endpoint.ask(inputs(2), Wish("balanced"), ears).cancel()
        endpoint.ask(inputs(2), Wish("balanced"), others)
        others.finals(2)
    assert not ears.heard
    assert [batch.size for batch in notes.batches] == [2]


def test_one_that_the_model_cannot_take_fails_alone() -> None:
    made = deployment()

    def arranged(stacked: Any) -> Any:
        if (stacked["input0"] == 7.0).all(axis=(1, 2, 3)).any():
            raise RuntimeError("no sevens")
        return made.arranged(stacked)

    with served(replace(made, arranged=arranged), batching=Batching(16, 0.2)) as (endpoint, notes):
        ears, given = Ears(), inputs(16)
        given["input0"][11] = 7.0
        endpoint.ask(given, Wish("balanced"), ears)
        found = ears.finals(16)
        assert [isinstance(one, RefusedError) for one in found] == [number == 11 for number in range(16)]
        assert str(found[11]) == "the model failed on it"
        assert len(notes.batches) < 12
        after = Ears()
        endpoint.ask(inputs(4), Wish(), after)
        assert len(exits(after.finals(4))) == 4


def test_listeners_and_watchers_that_fail_disturb_nobody() -> None:
    class Broken(Notes):
        def ran(self, batch: Ran) -> None:
            raise RuntimeError

    def deaf(_number: int, _answer: Any) -> None:
        raise RuntimeError

    endpoint = Endpoint(deployment(), Broken())
    try:
        endpoint.ask(inputs(3), Wish(), deaf)
        ears = Ears()
        endpoint.ask(inputs(3), Wish(), ears)
        assert len(exits(ears.finals(3))) == 3
        assert endpoint.open
    finally:
        assert endpoint.engine.close(20.0)


def test_audited_samples_are_answered_early_and_compared_with_the_backbone() -> None:
    with served(audit_share=1.0) as (endpoint, notes):
        ears = Ears()
        endpoint.ask(inputs(), Wish("fastest"), ears)
        found = ears.finals(SAMPLES)
    expected = bundle().use("fastest")(images(SAMPLES, 5)).exit_index.tolist()
    assert exits(found) == expected
    compared = [one for batch in notes.batches for one in batch.compared]
    backbone = len(deployment().exits) - 1
    assert len(compared) == sum(exit_ < backbone for exit_ in expected) > 0
    whole = bundle().use("full")(images(SAMPLES, 5)).output.numpy()
    place = {id(sample): number for number, sample in enumerate(s for batch in notes.batches for s in batch.samples)}
    for one in compared:
        np.testing.assert_allclose(one.backbone, whole[place[id(one.sample)]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": np.zeros((1, 3, 12, 12), np.float32)}, "expected the inputs input0, got 'x'"),
        ({"input0": np.zeros((1, 3, 11, 12), np.float32)}, r"expected shape \[-1, 3, 12, 12\]"),
        ({"input0": np.zeros((3, 12, 12), np.float32)}, "expected shape"),
        ({"input0": np.zeros((0, 3, 12, 12), np.float32)}, "batch size of at least 1"),
        ({"input0": np.zeros((), np.float32)}, "batch size of at least 1"),
        ({"input0": np.full((2, 3, 12, 12), 1e300)}, "sample 0"),
        ({"input0": np.full((2, 3, 12, 12), np.nan, np.float32)}, "finite"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_the_queue(given: dict[str, np.ndarray], message: str) -> None:
    with served() as (endpoint, notes):
        with pytest.raises(BadRequestError, match=message):
            endpoint.ask(given, Wish(), Ears())
        with pytest.raises(NotFoundError, match="operating point"):
            endpoint.ask(inputs(1), Wish("guess"), Ears())
    assert not notes.batches


def test_whole_numbers_go_for_floats_and_doubles_are_rounded() -> None:
    with served() as (endpoint, _):
        for dtype in ("int64", "uint8", "float64", "float16"):
            ears = Ears()
            endpoint.ask({"input0": np.ones((1, 3, 12, 12), dtype)}, Wish("full"), ears)
            assert exits(ears.finals(1)) == [len(deployment().exits) - 1]


def test_more_than_the_queue_holds_is_refused_for_now_or_for_ever() -> None:
    with served(batching=Batching(4, 5.0, 6)) as (endpoint, _):
        with pytest.raises(TooLargeError, match="at most 6 samples"):
            endpoint.ask(inputs(7), Wish(), Ears())
        ears = Ears()
        endpoint.ask(inputs(3), Wish(), ears)
        with pytest.raises(BusyError, match="queue"):
            endpoint.ask(inputs(4), Wish(), Ears())
        endpoint.engine.refuse()
        assert len(exits(ears.finals(3))) == 3
        with pytest.raises(BusyError, match="going down"):
            endpoint.ask(inputs(1), Wish(), Ears())
        assert not endpoint.open


def test_a_thousand_switches_under_load_tear_no_reply() -> None:
    """Each request is answered as one operating point says, the one of the generation that it is told."""
    names = ["balanced", "fastest", "full"]
    expected = {bundle().point(name).name: bundle().use(name)(images(8, 5)).exit_index.tolist() for name in names}
    with served(batching=Batching(64)) as (endpoint, _):
        asked: list[tuple[Any, Ears]] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                ears = Ears()
                asked.append((endpoint.ask(inputs(8), Wish(), ears), ears))
                ears.finals(8)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        generations = [(0, endpoint.active.name)]
        for number in range(1000):
            active = endpoint.switch(names[number % 3])
            generations.append((active.generation, active.name))
            if number % 50 == 0:
                time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join(20)
        for under_way, ears in asked:
            assert (under_way.active.generation, under_way.active.name) in generations
            assert exits(ears.finals(8)) == expected[under_way.active.name]
    assert endpoint.active.generation == 1000
    assert len(asked) >= 3
