"""Throughput mode: the same answers as batch by batch, from full batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from offramp.calibrate.identity import Identity
from offramp.errors import DataError, InputError
from offramp.gates import gate
from offramp.inputs import Inputs, batch_size, leaves, select
from offramp.model.multi_exit import MultiExit
from offramp.run.choice import executor
from offramp.run.executor import Executor
from offramp.run.headed import Headed
from offramp.run.loop import Plan, run, stops_of
from offramp.run.pooled import Pooled
from offramp.run.stepped import Stepped, UnderWay
from offramp.run.torch_compile import TorchCompiled
from offramp.types import Configuration
from tests.run.test_hooked import hooked_of
from tests.toys import NAMES, live, logits_of


def eager(model: MultiExit, enabled: tuple[bool, ...]) -> Executor:
    return executor(model, logits_of, gate("max-prob"), [Identity()] * len(model.exits), enabled)


def staged(model: MultiExit, enabled: tuple[bool, ...]) -> Executor:
    calibrators = (Identity(),) * len(model.exits)
    return TorchCompiled(model, logits_of, gate("max-prob"), calibrators, enabled, lambda stage: stage)


def plan_of(name: str, inputs: Inputs, make: Callable[..., Executor] = eager) -> Plan:
    """A third leaves at the first and at the last exit each, more or less."""
    model = live(name)
    exits = len(model.exits)
    enabled = tuple(index in (0, 1, exits - 1) for index in range(exits))
    runs = make(model, enabled)
    everyone = Configuration(enabled, (2.0,) * exits)
    scores: dict[int, np.ndarray] = {}

    def stop(place: int, say: Any) -> None:
        scores.update({exit_: say(exit_).score for exit_ in stops_of(enabled, model.point_of)[place]})

    runs.drive(inputs, stop)
    threshold = tuple(float(np.quantile(scores[e], 0.6)) if e in scores else 1.0 for e in range(exits))
    return Plan(Configuration(everyone.enabled, threshold), stops_of(enabled, model.point_of), runs)


class Answers:
    """What was said of each sample, each once."""

    def __init__(self) -> None:
        self.of: dict[int, tuple[np.ndarray, int, float]] = {}

    def __call__(self, number: int, output: Any, exit_index: int, score: float) -> None:
        assert number not in self.of
        self.of[number] = (np.array(output), exit_index, score)


@pytest.mark.parametrize("make", [eager, staged])
@pytest.mark.parametrize("name", ["cnn", "text", "vit"])
@pytest.mark.parametrize("full", [1, 4, 64])
def test_answers_are_those_of_batch_by_batch(name: str, make: Callable[..., Executor], full: int) -> None:
    inputs = NAMES[name].inputs(24)
    plan, found = plan_of(name, inputs, make), Answers()
    expected = run(plan, inputs)
    assert len(set(expected.exit_index.tolist())) > 1
    pool = Pooled(plan, found, full=full)
    for start in range(0, 24, 8):
        pool.add(select(inputs, torch.arange(start, start + 8)))
    pool.flush()
    assert sorted(found.of) == list(range(24))
    assert pool.waiting == 0
    for number, (output, exit_index, score) in found.of.items():
        assert exit_index == expected.exit_index[number]
        np.testing.assert_allclose(output, expected.output[number], rtol=1e-4, atol=1e-5)
        assert score == pytest.approx(expected.score[number], abs=1e-5)


def test_stages_run_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the first stage every batch has `full` samples but the last."""
    inputs = NAMES["cnn"].inputs(64)
    plan = plan_of("cnn", inputs)
    sizes: dict[int, list[int]] = {}
    after = Stepped._after

    def counting(self: Stepped, place: int, state: UnderWay) -> UnderWay:
        sizes.setdefault(place, []).append(len(state.tensors[0]))
        return after(self, place, state)

    monkeypatch.setattr(Stepped, "_after", counting)
    found = Answers()
    pool = Pooled(plan, found, full=8)
    for start in range(0, 64, 8):
        pool.add(select(inputs, torch.arange(start, start + 8)))
    before = {place: list(some) for place, some in sizes.items()}
    pool.flush()
    assert len(found.of) == 64
    assert all(size == 8 for some in before.values() for size in some)
    assert sum(sizes[0]) == 64
    assert 0 < sum(sizes[len(plan.stops)]) < 64


def test_nobody_waits_longer_than_the_wait() -> None:
    now = [0.0]
    inputs = NAMES["cnn"].inputs(8)
    plan, found = plan_of("cnn", inputs), Answers()
    pool = Pooled(plan, found, full=1000, max_wait=5.0, clock=lambda: now[0])
    pool.add(inputs)
    left = len(found.of)
    assert left < 8
    assert pool.waiting == 8 - left
    now[0] = 4.9
    pool.add(inputs)
    assert not set(range(8)) <= set(found.of)
    now[0] = 5.0
    pool.add(inputs)
    assert set(range(8)) <= set(found.of)


def test_texts_of_other_lengths_wait_apart() -> None:
    toy = NAMES["text"]
    long = toy.inputs(6)
    short = {name: tensor[:, :5].contiguous() for name, tensor in long.items()}  # type: ignore[union-attr]
    plan, found = plan_of("text", long), Answers()
    pool = Pooled(plan, found, full=64)
    pool.add(long)
    pool.add(short)
    pool.flush()
    expected = [*run(plan, long).exit_index, *run(plan, short).exit_index]
    assert [found.of[number][1] for number in range(12)] == expected


def test_without_exits_the_backbone_answers() -> None:
    inputs, found = NAMES["cnn"].inputs(4), Answers()
    plan = plan_of("cnn", inputs)
    full = Plan(Configuration.full(len(plan.configuration.enabled)), (), plan.executor)
    pool = Pooled(full, found)
    pool.add(inputs)
    pool.flush()
    np.testing.assert_array_equal([found.of[n][0] for n in range(4)], run(full, inputs).output)
    assert {found.of[n][1] for n in range(4)} == {len(plan.configuration.enabled)}


def test_bad_input_leaves_those_who_wait_alone() -> None:
    inputs, found = NAMES["cnn"].inputs(8), Answers()
    pool = Pooled(plan_of("cnn", inputs), found, full=1000)
    pool.add(inputs)
    waiting = pool.waiting
    with pytest.raises(DataError):
        pool.add(leaves(inputs)[0][:, :1])
    assert pool.waiting == waiting > 0
    pool.add(inputs)
    pool.flush()
    assert sorted(found.of) == list(range(2 * batch_size(inputs)))


def test_hooks_cannot_wait() -> None:
    model = live("cnn")
    headed = Headed.of(hooked_of(model), model, gate("max-prob"), [Identity()] * len(model.exits))
    everyone = (True,) * len(model.exits)
    plan = Plan(Configuration(everyone, (0.5,) * len(everyone)), stops_of(everyone, model.point_of), headed)
    with pytest.raises(InputError, match="stage by stage for throughput, got Headed; use latency"):
        Pooled(plan, Answers())
    with pytest.raises(InputError, match="at least 1"):
        Pooled(plan_of("cnn", NAMES["cnn"].inputs(4)), Answers(), full=0)
