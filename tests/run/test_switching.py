"""The operating point is switched while four threads hammer: no batch is torn, dropped, or answered twice."""

import inspect
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from offramp import deployed
from offramp.run.executor import Said, Stop
from offramp.run.loop import Outcome
from offramp.run.model import EarlyExitModel
from offramp.types import Configuration
from tests.builds import images
from tests.exports import POINTS, distinct, exported

THREADS, SIZES = 4, (1, 9, 12, 16)
LEAST = 12
"""Batches that each thread runs at least, however slow the machine."""


Told = tuple[int, Any, int, float]
"""Position, logits, exit and score of a sample."""

LOOP = str(Path(inspect.getfile(EarlyExitModel)).parent)


@dataclass(frozen=True)
class Case:
    """A model, and what each of its operating points says to each of some batches.

    Attributes:
        model: called and switched.
        batches: as the model takes them.
        expected: by operating point, the outcome of each batch; taken while nobody switched.
    """

    model: EarlyExitModel
    batches: Sequence[Any]
    expected: Mapping[str, Sequence[Outcome]]

    @classmethod
    def of(cls, model: EarlyExitModel, batches: Sequence[Any], points: Sequence[str]) -> "Case":
        """The case; of a batch that is not small no two points may say the same, or torn ones could not be told."""
        expected = {name: [_numbers(model.use(name)(batch)) for batch in batches] for name in points}
        for which, batch in enumerate(batches):
            patterns = {tuple(outcomes[which].exit_index.tolist()) for outcomes in expected.values()}
            assert len(batch) < min(SIZES[1:]) or len(patterns) == len(points)
        return cls(model, batches, expected)

    def ask(self, which: int) -> "Answer":
        """The model's answer to a batch."""
        told: list[Told] = []
        return Answer(which, _numbers(self.model(self.batches[which], lambda *one: told.append(one))), told)

    def explained(self, answer: "Answer") -> list[str]:
        """The points of which one has answered all of the batch, and once.

        There is one, or several where the batch is so small that they say the same.
        """
        found, batch = answer.found, self.batches[answer.which]
        assert sorted(position for position, *_ in answer.told) == list(range(len(batch)))
        for position, logits, exit_, score in answer.told:
            assert (exit_, score) == (found.exit_index[position], found.score[position])
            np.testing.assert_array_equal(np.asarray(logits), found.output[position])
        points = [name for name, outcomes in self.expected.items() if _same(found, outcomes[answer.which])]
        assert points, f"no operating point says {found.exit_index.tolist()} to batch {answer.which}"
        return points


@dataclass(frozen=True)
class Answer:
    """To batch number `which`: what the model returned, and what it told before, sample by sample."""

    which: int
    found: Outcome
    told: Sequence[Told]


def _numbers(outcome: Outcome) -> Outcome:
    output, exit_index, score = map(np.asarray, (outcome.output, outcome.exit_index, outcome.score))
    return Outcome(output, exit_index, score)


def _same(found: Outcome, expected: Outcome) -> bool:
    pairs = ((found.output, expected.output), (found.score, expected.score))
    return np.array_equal(found.exit_index, expected.exit_index) and all(
        np.allclose(one, other, rtol=1e-5, atol=1e-6) for one, other in pairs
    )


@dataclass(frozen=True)
class Hammered:
    """What came of it: batches and switches, and how many batches each point alone explains."""

    batches: int
    switches: int
    seen: Mapping[str, int]


def hammer(case: Case, seconds: float) -> Hammered:
    """Calls the model from all threads while another one switches as fast as it can."""
    end, over = time.monotonic() + seconds, threading.Event()

    def call(first: int) -> list[list[str]]:
        """Answers are looked at when the next one is there, so that memory used again would be seen."""
        found: list[list[str]] = []
        answer = case.ask(first)
        while time.monotonic() < end or len(found) < LEAST:
            following = case.ask((answer.which + 1) % len(case.batches))
            found.append(case.explained(answer))
            answer = following
        return [*found, case.explained(answer)]

    def switch() -> int:
        done = 0
        while not over.is_set():
            for name in case.expected:
                case.model.use(name)
                done += 1
        return done

    with ThreadPoolExecutor(THREADS + 1) as pool:
        switching = pool.submit(switch)
        calling = [pool.submit(call, first) for first in range(THREADS)]
        try:
            answers = [names for one in calling for names in one.result()]
        finally:
            over.set()
    return Hammered(len(answers), switching.result(), Counter(names[0] for names in answers if len(names) == 1))


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Threads take turns every 10 µs instead of every 5 ms: more moments at which a batch could be torn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Steady:
    """An executor in NumPy that any thread may leave at any time; what an exit says tells exit and sample."""

    def __init__(self, enabled: Sequence[bool], asking: float = 0.0, whole: float = 0.002) -> None:
        self.enabled, self.asking, self.seconds = enabled, asking, whole

    def samples(self, inputs: np.ndarray) -> int:
        return len(inputs)

    def drive(self, inputs: np.ndarray, stop: Stop) -> Said | None:
        """Asking the exits takes as long as it was told, all together."""
        time.sleep(self.asking)
        for place in range(sum(self.enabled)):
            rows = stop(place, partial(self._say, inputs))
            inputs = inputs if rows is None else inputs[rows]
            if len(inputs) == 0:
                return None
        return self.whole(inputs)

    def whole(self, inputs: np.ndarray) -> Said:
        """As long as it was told."""
        time.sleep(self.seconds)
        return Said(inputs + 100, np.ones(len(inputs)))

    def _say(self, inputs: np.ndarray, exit_: int) -> Said:
        return Said(inputs + exit_, (inputs[:, 0] * (exit_ + 2)) % 1.0)


def steady(make: Callable[[Sequence[bool]], Steady] = Steady) -> EarlyExitModel:
    """Three exits; `low` and `high` have the same ones."""
    points = {
        "low": Configuration((True, True, False), (0.7, 0.7, 0.0)),
        "high": Configuration((True, True, False), (0.9, 0.9, 0.0)),
        "last": Configuration((False, False, True), (0.0, 0.0, 0.5)),
        "full": Configuration.full(3),
    }
    return EarlyExitModel(make, points, (0, 1, 2), "low")


def numbers() -> list[np.ndarray]:
    generator = np.random.default_rng(3)
    return [generator.random((size, 1)) for size in SIZES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    return exported(tmp_path_factory.mktemp("switched") / "stages")


@pytest.fixture(params=["eager", "onnx", "openvino", "steady"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "steady":
        return Case.of(steady(), numbers(), ("low", "high", "last", "full"))
    batches = [images(size, 60 + size) for size in SIZES]
    if request.param == "eager":
        return Case.of(distinct().use("full"), batches, POINTS)
    pytest.importorskip({"onnx": "onnxruntime"}.get(request.param, request.param))
    model = deployed.load(request.getfixturevalue("folder"), runtime=request.param, threads=1)
    return Case.of(model, [batch.numpy() for batch in batches], POINTS)


def test_every_batch_is_answered_whole_and_once_while_the_point_is_switched(case: Case) -> None:
    found = hammer(case, seconds=0.5)
    assert found.batches >= THREADS * LEAST
    assert found.switches >= len(case.expected)
    assert len(found.seen) > 1


@pytest.mark.slow
def test_so_it_is_for_thirty_seconds(
    case: Case, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    found = hammer(case, seconds=30.0)
    record_property("batches", found.batches)
    record_property("switches", found.switches)
    with capsys.disabled():
        sys.stdout.write(f"\n{found.batches} batches by {THREADS} threads, {found.switches} switches: {found.seen}\n")
    assert set(found.seen) == set(case.expected)


def interrupted(call: Callable[[], Outcome], moment: int, act: Callable[[], object]) -> tuple[Outcome, int]:
    """What `call` gives where `act` happens before instruction number `moment` of our run loop, and how many it has."""
    done = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal done
        if not frame.f_code.co_filename.startswith(LOOP):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if done == moment:
                act()
            done += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call(), done
    finally:
        sys.settrace(before)


def only_low_is_worth_it() -> tuple[EarlyExitModel, np.ndarray]:
    """A model that is tuned, and takes no time afterwards, with the batch it is tuned on: all leave at `low`."""
    executors: list[Steady] = []

    def make(enabled: Sequence[bool]) -> Steady:
        executors.append(Steady(enabled, asking=0.03 if enabled[2] else 0.0, whole=0.02))
        return executors[-1]

    model, batch = steady(make), np.tile((0.4, 0.3), 8)[:, None]
    for _ in range(20):  # a busy machine may need another try until it has measured what is so
        early = [name for name, sizes in model.tune({16: [[batch]] * 5}).items() if sizes[16].early]
        if early == ["low"]:
            break
    assert early == ["low"]
    for executor in executors:
        executor.asking = executor.seconds = 0.0
    return model, batch


def quick() -> tuple[EarlyExitModel, np.ndarray]:
    """A model that takes no time, and a batch of which some leave at every point."""
    return steady(lambda enabled: Steady(enabled, whole=0.0)), np.linspace(0.0, 1.0, 16)[:, None]


@pytest.mark.parametrize(
    ("make", "first", "then"),
    [
        (quick, "low", "last"),
        (quick, "full", "low"),
        (only_low_is_worth_it, "low", "last"),
        (only_low_is_worth_it, "last", "low"),
    ],
)
def test_a_switch_before_some_instruction_counts_for_the_batch_and_a_later_one_does_not(
    make: Callable[[], tuple[EarlyExitModel, np.ndarray]], first: str, then: str
) -> None:
    """Of all instructions: the point is read once, with all that belongs to it."""
    model, batch = make()
    before, after = (model.use(name)(batch) for name in (first, then))
    assert not _same(before, after)
    assert all(len(set(one.exit_index.tolist())) > 1 for one in (before, after) if one.exit_index.min() < 3)
    model.use(first)
    _, instructions = interrupted(lambda: model(batch), -1, lambda: None)
    decided = []
    for moment in range(instructions):
        model.use(first)
        found, _ = interrupted(lambda: model(batch), moment, lambda: model.use(then))
        assert _same(found, before) or _same(found, after), f"torn at {moment}: {found.exit_index.tolist()}"
        decided.append(_same(found, before))
    assert decided == sorted(decided)
    assert set(decided) == {False, True}


def test_a_switch_waits_for_no_batch_and_a_batch_under_way_keeps_its_point() -> None:
    started, release = threading.Event(), threading.Event()

    class Held(Steady):
        def drive(self, inputs: np.ndarray, stop: Stop) -> Said | None:
            started.set()
            assert release.wait(60)
            return super().drive(inputs, stop)

    batch = np.linspace(0.0, 1.0, 16)[:, None]
    expected = steady().use("low")(batch)
    model = steady(Held).use("low")
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(model, batch)
        try:
            assert started.wait(60)
            pool.submit(model.use, "full").result(timeout=60)
        finally:
            release.set()
        assert _same(under_way.result(), expected)
    assert len(set(expected.exit_index.tolist())) > 1
    assert model(batch).exit_index.tolist() == [3] * 16


def test_a_switch_makes_and_copies_nothing() -> None:
    """An executor here has 8 MB of weights."""

    class Heavy(Steady):
        def __init__(self, enabled: Sequence[bool]) -> None:
            super().__init__(enabled)
            self.weights = np.ones(1 << 20)
            made.append(tuple(enabled))

    made: list[tuple[bool, ...]] = []
    model = steady(Heavy)
    assert len(made) == len(set(made)) == 3
    tracemalloc.start()
    try:
        for name in ("low", "high", "last", "full") * 250:
            model.use(name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    assert len(made) == 3
