import threading
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.calibrate.identity import Identity
from offramp.errors import UnknownNameError
from offramp.gates.max_prob import MaxProb
from offramp.inputs import Inputs
from offramp.run.choice import executor
from offramp.run.executor import Said, Stop
from offramp.run.model import EarlyExitModel
from offramp.types import Configuration
from tests.toys import CNN, MLP, NAMES, attached, eager_of, live, logits_of, recording, state_of, whole


def early_exit(name: str, **thresholds: list[float | None]) -> EarlyExitModel:
    """The toy with operating points by name: a threshold per exit, None where it is off."""
    model = live(name)
    points = {}
    for point, values in thresholds.items():
        on = tuple(value is not None for value in values)
        points[point] = Configuration(on, tuple(0.0 if value is None else value for value in values))
    make = partial(executor, model, logits_of, MaxProb(), [Identity()] * len(model.exits))
    return EarlyExitModel(make, points, model.point_of, next(iter(points)), torch.from_numpy)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_point_without_exits_is_the_backbone_bit_for_bit(name: str) -> None:
    inner = len(live(name).exits)
    model = early_exit(name, fast=[0.0] * inner, full=[None] * inner)
    for batch in (1, 2, 5):
        inputs = NAMES[name].inputs(batch)
        expected = whole(live(name).backbone.model, inputs)
        found = model.use("full")(inputs)
        torch.testing.assert_close(found.output, expected, rtol=0, atol=0)
        assert found.exit_index.tolist() == [inner] * batch
        assert model.use("fast")(inputs).exit_index.tolist() == [0] * batch


def test_an_unknown_point_is_refused_and_the_active_one_stays() -> None:
    model = early_exit("mlp", a=[None] * 6, b=[0.5] * 6)
    with pytest.raises(UnknownNameError, match="expected an operating point among a, b; got 'c'"):
        model.use("c")
    assert model.active == "a"
    assert model.use("b").active == "b"


@settings(deadline=None, max_examples=10)
@given(batches=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_batches_may_be_cut_as_one_likes(batches: list[int]) -> None:
    model = early_exit("clicks", mid=[float(np.median(row)) for row in recording("clicks").scores(MaxProb(), [])[:-1]])
    everything = NAMES["clicks"].inputs(sum(batches), 9)
    assert isinstance(everything, tuple)
    together = model(everything)
    start = 0
    for size in batches:
        part = model(tuple(tensor[start : start + size] for tensor in everything))
        torch.testing.assert_close(part.output, together.output[start : start + size], rtol=1e-4, atol=1e-5)
        start += size


def test_switching_from_another_thread_leaves_every_batch_to_one_operating_point() -> None:
    """Each point uses exits of its own, so an outcome tells which point made it, sample by sample."""

    def middle(*exits: int) -> list[float | None]:
        scores = recording("cnn").scores(MaxProb(), [Identity()] * 8)
        return [float(np.median(scores[index])) for index in exits]

    none: list[float | None] = [None, None]
    points: dict[str, list[float | None]] = {
        "early": [*middle(0, 1), *none, *none, *none],
        "late": [*none, *none, *middle(4, 5), *none],
        "everyone": [*none, 0.0, None, *none, *none],
        "full": [*none, *none, *none, *none],
    }
    model = early_exit("cnn", **points)
    inputs = NAMES["cnn"].inputs(12, 7)
    expected = {name: model.use(name)(inputs) for name in points}
    assert len({tuple(outcome.exit_index.tolist()) for outcome in expected.values()}) == 4
    assert len(set(expected["early"].exit_index.tolist())) > 1
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for name in points:
                model.use(name)

    thread = threading.Thread(target=switch)
    thread.start()
    seen = set()
    try:
        for _ in range(150):
            answered: list[int] = []
            found = model(inputs, lambda position, *_: answered.append(position))  # noqa: B023
            assert sorted(answered) == list(range(12))
            explained = [
                name
                for name, outcome in expected.items()
                if torch.equal(found.exit_index, outcome.exit_index) and torch.equal(found.output, outcome.output)
            ]
            assert len(explained) == 1
            seen.update(explained)
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 1


def test_a_model_in_train_mode_stays_in_eval_mode_until_the_last_of_several_threads_is_done() -> None:
    """Batch norm would learn from the inputs, and dropout would change the answers."""
    backbone = CNN.model()
    multi_exit = attached(backbone, CNN.inputs(2))
    driver = eager_of(multi_exit)
    inputs = CNN.inputs(3)
    expected = whole(backbone, inputs)
    backbone.train()
    before = state_of(backbone)
    wrong: list[torch.Tensor] = []

    def work() -> None:
        for _ in range(40):
            found = driver.whole(inputs).logits
            if not torch.equal(found, expected):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    after = state_of(backbone)
    torch.testing.assert_close(after.pop("tensors"), before.pop("tensors"), rtol=0, atol=0)
    assert after == before


def test_a_callback_that_raises_leaves_the_model_usable() -> None:
    model = early_exit("mlp", mid=[0.25] * 6)
    inputs: Inputs = MLP.inputs(5)
    expected = model(inputs)

    def fail(*_: object) -> None:
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        model(inputs, fail)
    torch.testing.assert_close(model(inputs).output, expected.output, rtol=0, atol=0)


class Clock:
    """Tells the time that was spent on it."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Clocked:
    """An executor whose stops take a time of their own."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds, self.clock = seconds, clock

    def samples(self, inputs: np.ndarray) -> int:
        return len(inputs)

    def drive(self, inputs: np.ndarray, stop: Stop) -> Said | None:
        """Everybody may leave at the only stop."""
        self.clock.now += self.seconds
        said = Said(np.ones((len(inputs), 2)), np.ones(len(inputs)))
        rows = stop(0, lambda _: said)
        return None if rows is not None and len(rows) == 0 else said

    def whole(self, inputs: np.ndarray) -> Said:
        """As fast as the batch is small."""
        self.clock.now += 0.0005 * len(inputs)
        return Said(np.zeros((len(inputs), 2)), np.zeros(len(inputs)))


def test_a_tuned_model_leaves_early_only_where_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving takes 4 ms, the uncut model half a millisecond a sample: it pays from batches of 16 on."""
    clock, on = Clock(), Configuration((True,), (0.5,))
    monkeypatch.setattr("offramp.run.timing.time", clock)
    model = EarlyExitModel(lambda _: Clocked(0.004, clock), {"on": on, "full": Configuration.full(1)}, [0], "on")
    batches = {size: [[np.zeros((size, 1))]] * 5 for size in (1, 16)}
    assert model(np.zeros((1, 1))).exit_index.tolist() == [0]
    found = model.tune(batches)
    assert {size: one.early for size, one in found["on"].items()} == {1: False, 16: True}
    assert found["on"][1].ratio > 1 > found["on"][16].ratio
    for size, leaves in ((1, False), (2, False), (3, False), (6, True), (16, True), (100, True)):
        assert (set(model(np.zeros((size, 1))).exit_index) == {0}) is leaves
    assert set(model.use("full")(np.zeros((16, 1))).exit_index) == {1}
    assert set(model.use("on")(np.zeros((16, 1))).exit_index) == {0}
