"""Samples that go from stage to stage, each stage by itself, are answered as by one process that has them all."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.run.group import Failed, Group, Told
from offramp.serve import forwarding
from offramp.serve.batcher import Batching
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.errors import BadRequestError, BusyError, RefusedError, TooLargeError
from offramp.serve.forwarding import Forwarding, LostError, Step
from offramp.serve.loading import from_stages
from offramp.serve.sample import Answer
from tests.exports import NESTED
from tests.serve.apart import heard, here, route, seen, stages
from tests.serve.world import Ears, Notes, exits, inputs

SAMPLES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stages(tmp_path_factory.mktemp("apart") / "toy")


def same(found: list[Answer | RefusedError], expected: list[Answer | RefusedError]) -> None:
    assert exits(found) == exits(expected)
    assert len(found) == len(exits(found))
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-5, atol=1e-6)
        assert one.score == pytest.approx(other.score, abs=1e-6)
        assert one.forced == other.forced


@pytest.mark.parametrize("by", ["direct", "accumulate", "patience"])
def test_answers_are_those_of_one_process(by: str, tmp_path: Path) -> None:
    made = stages(tmp_path / "toy", by)
    asked = [(inputs(SAMPLES, seed), Wish(point)) for seed, point in enumerate(NESTED, 5)]
    several, notes = asyncio.run(heard(made, asked))
    for ears, expected in zip(several, here(made, asked), strict=True):
        same(ears.finals(SAMPLES), expected)
    assert sum(len(ran.samples) for ran in notes.batches) == len(NESTED) * SAMPLES
    if by == "direct":
        assert len(set(exits(several[0].finals(SAMPLES)))) == 4


@pytest.mark.parametrize("wish", [Wish("hasty", max_exit=0), Wish("wide", deadline=1e-9), Wish("wide", anytime=True)])
def test_wishes_are_kept(folder: Path, wish: Wish) -> None:
    ears = asyncio.run(heard(folder, [(inputs(), wish)]))[0][0]
    found = ears.finals(SAMPLES)
    if wish.anytime:
        same(found, here(folder, [(inputs(), wish)])[0])
        for number, last in enumerate(found):
            passed = exits(ears.heard[number])
            assert passed == [exit_ for exit_ in (0, 2, 5, 6) if exit_ <= exits([last])[0]]
    else:
        assert set(exits(found)) == {0}
        assert any(one.forced for one in found if isinstance(one, Answer))


def test_audited_samples_are_answered_early_and_compared_at_the_end(folder: Path) -> None:
    several, notes = asyncio.run(heard(folder, [(inputs(), Wish("hasty"))], audit_share=1.0))
    same(several[0].finals(SAMPLES), here(folder, [(inputs(), Wish("hasty"))])[0])
    compared = [one for ran in notes.batches for one in ran.compared]
    assert len(compared) == sum(exit_ < 6 for exit_ in exits(several[0].finals(SAMPLES)))
    whole = here(folder, [(inputs(), Wish("full"))])[0]
    expected = {one.logits.tobytes(): one.logits for one in whole if isinstance(one, Answer)}
    known = np.stack(list(expected.values()))
    for one in compared:
        assert np.abs(known - one.backbone).max(axis=1).min() < 1e-5


def test_what_was_lost_is_sent_again_and_answered_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "PAUSE", (0.001, 0.002))
    lost = []

    def wrap(place: int | None, step: Step) -> Step:
        rng = np.random.default_rng(place or 0)

        async def run(group: Group) -> Told | Failed:
            found = await step(group)
            if rng.random() < 0.5:
                lost.append(place)
                raise LostError("killed after it had run")
            return found

        return run

    asked = [(inputs(SAMPLES, seed), Wish(NESTED[seed % 3])) for seed in range(9)]
    several, _ = asyncio.run(heard(folder, asked, wrap))
    assert len(lost) > 10
    for ears, expected in zip(several, here(folder, asked), strict=True):
        same(ears.finals(SAMPLES), expected)


def test_a_stage_that_never_comes_back_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE", 0.05)

    def wrap(place: int | None, step: Step) -> Step:
        async def run(group: Group) -> Told | Failed:
            raise LostError("gone")

        return run if place == 1 else step

    several, notes = asyncio.run(heard(folder, [(inputs(), Wish("wide"))], wrap))
    found = several[0].finals(SAMPLES)
    assert {type(one) for one in found} == {Answer, BusyError}
    assert set(exits(found)) == {0}
    assert len(notes.gone) == sum(isinstance(one, BusyError) for one in found)


def test_one_that_the_model_cannot_take_fails_alone(folder: Path) -> None:
    x = inputs()
    x["input0"][7] = 7.0

    def wrap(place: int | None, step: Step) -> Step:
        async def run(group: Group) -> Told | Failed:
            if place == 0 and (group.state[0] == 7.0).all(axis=(1, 2, 3)).any():
                return Failed("no sevens", unfit=True)
            return await step(group)

        return run

    several, notes = asyncio.run(heard(folder, [(x, Wish("wide"))], wrap))
    found = several[0].finals(SAMPLES)
    assert isinstance(found[7], BadRequestError)
    assert len(exits(found)) == SAMPLES - 1
    assert len(notes.gone) == 1


def test_who_is_cancelled_goes_no_further(folder: Path) -> None:
    sizes: list[tuple[int | None, int]] = []

    async def cancelled() -> Ears:
        asked: list[Any] = []

        def wrap(place: int | None, step: Step) -> Step:
            async def run(group: Group) -> Told | Failed:
                sizes.append((place, group.samples))
                found = await step(group)
                asked[0].cancel()
                return found

            return run

        ears, notes = Ears(), Notes()
        engine = Forwarding(route(seen(folder), wrap), notes, Batching(64))
        endpoint = Endpoint(from_stages(folder), notes, engine=engine)
        asked.append(endpoint.ask(inputs(), Wish("wide"), ears))
        while not engine.idle:
            await asyncio.sleep(0.001)
        return ears

    assert not asyncio.run(cancelled()).heard
    assert sizes == [(0, SAMPLES)]


def test_too_many_and_too_late_are_refused(folder: Path) -> None:
    async def refused() -> None:
        notes = Notes()
        engine = Forwarding(route(seen(folder)), notes, Batching(8, 0.0, SAMPLES))
        endpoint = Endpoint(from_stages(folder), notes, engine=engine)
        with pytest.raises(TooLargeError, match="at most 40 samples"):
            endpoint.ask(inputs(SAMPLES + 1), Wish(), Ears())
        ears = Ears()
        endpoint.ask(inputs(), Wish(), ears)
        with pytest.raises(BusyError, match="under way"):
            endpoint.ask(inputs(1), Wish(), Ears())
        assert engine.waiting == SAMPLES
        assert await asyncio.to_thread(engine.close, 20.0)
        assert len(ears.finals(SAMPLES)) == SAMPLES
        with pytest.raises(BusyError, match="going down"):
            endpoint.ask(inputs(1), Wish(), Ears())

    asyncio.run(refused())
