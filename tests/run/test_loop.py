from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.decide.replay import replay
from offramp.decide.rule import decisive, rule
from offramp.deciding import table
from offramp.errors import DataError
from offramp.gates import gate
from offramp.gates.gate import Gate
from offramp.gates.jei import Jei
from offramp.gates.max_prob import MaxProb
from offramp.gates.patience import Patience
from offramp.inputs import Inputs, select
from offramp.model.multi_exit import MultiExit
from offramp.model.resized import Chains
from offramp.model.segments import Chain
from offramp.model.segments import State as SegmentState
from offramp.run.choice import executor
from offramp.run.eager import Eager
from offramp.run.headed import Headed
from offramp.run.loop import Plan, run, stops_of
from offramp.tasks.classification import Classification
from offramp.types import Configuration
from tests.reference import runtime
from tests.toys import NAMES, attached, calibrators_of, configurations, live, logits_of, recording, whole

NEAR = 1e-4
"""Scores so near to their threshold may fall on either side: kernels change with the batch size."""


def plan_of(live_: MultiExit, configuration: Configuration, gate_: Gate, calibrators: Sequence[Calibrator]) -> Plan:
    made = executor(live_, logits_of, gate_, calibrators, configuration.enabled)
    return Plan(configuration, stops_of(configuration.enabled, live_.point_of), made, rule(gate_.rule))


def watched(plan: Plan, kind: type[Chain]) -> Plan:
    """The plan on segments of another kind."""
    made = plan.executor
    assert isinstance(made, Headed)
    assert isinstance(made.driver, Eager)
    chains = Replaced(made.driver.chains, kind)
    return replace(plan, executor=replace(made, driver=replace(made.driver, chains=chains)))


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(deadline=None, max_examples=20)
@given(data=st.data(), batch=st.integers(1, 9), seed=st.integers(0, 50))
def test_each_sample_leaves_as_it_would_alone_on_the_original_model(
    name: str, data: st.DataObject, batch: int, seed: int
) -> None:
    model, calibrators = live(name), calibrators_of(name)
    scorer = gate(data.draw(st.sampled_from(["max-prob", "margin", "entropy"])))
    configuration = data.draw(configurations(recording(name).scores(scorer, calibrators)[:-1]))
    inputs = NAMES[name].inputs(batch, seed)
    found = run(plan_of(model, configuration, scorer, calibrators), inputs)
    for index in range(batch):
        sample = select(inputs, torch.tensor([index]))
        exit_, logits, score, nearest = runtime.leave(model, configuration, scorer, calibrators, sample)
        if nearest < NEAR:
            continue
        assert found.exit_index[index] == exit_
        np.testing.assert_allclose(found.output[index], logits, rtol=1e-4, atol=1e-4)
        assert found.score[index].item() == pytest.approx(score, abs=1e-4)


def remembering(inner: int) -> list[Gate]:
    """Gates whose scores decide together."""
    generator = np.random.default_rng(0)
    return [Patience(), Jei(tuple(map(tuple, generator.normal(size=(inner, 5)).tolist())))]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", ["cnn", "text"])
@settings(deadline=None, max_examples=20)
@given(data=st.data(), batch=st.integers(1, 9), seed=st.integers(0, 50))
def test_what_a_rule_remembers_shrinks_with_the_batch(
    name: str, which: int, data: st.DataObject, batch: int, seed: int
) -> None:
    model = live(name)
    identity = [Identity() for _ in model.exits]
    scorer = remembering(len(model.exits))[which]
    decided = table(recording(name), Classification(), scorer, identity, model.macs())
    configuration = data.draw(configurations(decisive(decided, [True] * len(model.exits))[:-1]))
    inputs = NAMES[name].inputs(batch, seed)
    found = run(plan_of(model, configuration, scorer, identity), inputs)
    for index in range(batch):
        sample = select(inputs, torch.tensor([index]))
        exit_, _, score, nearest = runtime.leave(model, configuration, scorer, identity, sample)
        if nearest >= NEAR:
            assert found.exit_index[index] == exit_
            assert found.score[index].item() == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_runtime_is_replay(name: str, data: st.DataObject) -> None:
    model, calibrators = live(name), calibrators_of(name)
    scores = table(recording(name), Classification(), MaxProb(), calibrators, model.macs())
    configuration = data.draw(configurations(scores.score[:-1]))
    chosen = data.draw(st.lists(st.integers(0, 47), min_size=1, max_size=24))
    inputs = select(NAMES[name].inputs(48, 7), torch.tensor(chosen))
    found = run(plan_of(model, configuration, MaxProb(), calibrators), inputs)
    expected = replay(scores, configuration).exit_index[chosen]
    threshold, on = np.array(configuration.threshold), np.array(configuration.enabled)
    distance = np.abs(scores.score[:-1, chosen] - threshold[:, None])[on].min(axis=0, initial=np.inf)
    clear = distance >= NEAR
    np.testing.assert_array_equal(found.exit_index[clear], expected[clear])


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_no_exit_enabled_is_the_backbone_bit_for_bit(name: str, batch: int) -> None:
    model, inputs = live(name), NAMES[name].inputs(batch, 3)
    plan = plan_of(model, Configuration.full(len(model.exits)), MaxProb(), calibrators_of(name))
    found = run(plan, inputs)
    np.testing.assert_array_equal(found.output, whole(model.backbone.model, inputs))
    assert found.exit_index.tolist() == [len(model.exits)] * batch


@pytest.mark.parametrize("name", sorted(NAMES))
@settings(deadline=None, max_examples=20)
@given(data=st.data(), batch=st.integers(1, 12))
def test_every_item_is_answered_once_in_the_order_of_the_exits(name: str, data: st.DataObject, batch: int) -> None:
    model, calibrators = live(name), calibrators_of(name)
    configuration = data.draw(configurations(recording(name).scores(MaxProb(), calibrators)[:-1]))
    calls: list[tuple[int, np.ndarray, int, float]] = []
    plan = plan_of(model, configuration, MaxProb(), calibrators)
    found = run(plan, NAMES[name].inputs(batch, 5), lambda *call: calls.append(call))
    assert sorted(position for position, *_ in calls) == list(range(batch))
    assert [exit_ for _, _, exit_, _ in calls] == sorted(exit_ for _, _, exit_, _ in calls)
    for position, logits, exit_, score in calls:
        np.testing.assert_array_equal(logits, found.output[position])
        assert (exit_, score) == (int(found.exit_index[position]), found.score[position].item())


class Replaced(Chains):
    """Segments of another kind."""

    def __init__(self, chains: Chains, kind: type[Chain]) -> None:
        self.chains, self.kind, self.names = chains, kind, chains.names

    def arranged(self, inputs: Inputs) -> Inputs:
        return self.chains.arranged(inputs)

    def fit_for(self, inputs: Inputs) -> Chain:
        return self.kind(self.chains.fit_for(inputs).segments)


def test_answers_come_before_the_rest_is_computed() -> None:
    """The first items are answered while the backbone has not gone on: that is what an early exit is for."""
    model, seen = live("mlp"), []

    class Watching(Chain):
        def segment(self, index: int, state: SegmentState) -> SegmentState:
            seen.append(f"segment {index} on {len(state[0])}")
            return super().segment(index, state)

    inputs = NAMES["mlp"].inputs(6)
    with torch.no_grad():
        score = model.outputs(inputs, logits_of)[0].softmax(1).amax(1)
    middle = float(score.sort().values[2:4].double().mean())
    plan = plan_of(model, Configuration((True, *[False] * 5), (middle, *[1.0] * 5)), MaxProb(), [Identity()] * 6)
    run(watched(plan, Watching), inputs, lambda position, *_: seen.append(f"answer {position}"))
    leaving = [f"answer {index}" for index in (score >= middle).nonzero()[:, 0].tolist()]
    staying = [f"answer {index}" for index in (score < middle).nonzero()[:, 0].tolist()]
    assert seen == ["segment 0 on 6", *leaving, "segment 1 on 3", *staying]  # where no exit is on there is no cut


def test_a_batch_that_has_left_altogether_costs_nothing_more() -> None:
    model, inputs = live("cnn"), NAMES["cnn"].inputs(4)
    inner = len(model.exits)
    plan = plan_of(model, Configuration((True,) * inner, (0.0,) * inner), MaxProb(), [Identity()] * inner)

    class Short(Chain):
        def segment(self, index: int, state: SegmentState) -> SegmentState:
            assert index == 0
            return super().segment(index, state)

    found = run(watched(plan, Short), inputs)
    assert found.exit_index.tolist() == [0] * 4


def test_a_score_equal_to_the_threshold_leaves_and_thresholds_are_not_rounded() -> None:
    model, inputs = live("mlp"), NAMES["mlp"].inputs(1)
    inner = len(model.exits)
    off = [False] * (inner - 1)

    def exit_at(threshold: float) -> int:
        plan = plan_of(
            model, Configuration((True, *off), (threshold, *[1.0] * (inner - 1))), MaxProb(), [Identity()] * inner
        )
        return int(run(plan, inputs).exit_index[0])

    with torch.no_grad():
        score = model.outputs(inputs, logits_of)[0].softmax(1).amax(1).item()
    assert exit_at(score) == 0
    assert exit_at(float(np.nextafter(score, 1.0))) == inner


def test_a_batch_without_a_common_size_is_refused() -> None:
    model = live("clicks")
    plan = plan_of(model, Configuration.full(len(model.exits)), MaxProb(), [Identity()] * len(model.exits))
    with pytest.raises(DataError, match="one common batch size"):
        run(plan, (torch.zeros(2, 6), torch.zeros(3, 3, dtype=torch.long)))
    with pytest.raises(DataError, match="batch size of at least 1"):
        run(plan, (torch.zeros(0, 6), torch.zeros(0, 3, dtype=torch.long)))


class Fused(nn.Module):
    """Layers that torch runs by fused kernels in eval mode, which an exporter unfolds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(3))
        self.last = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        logits: torch.Tensor = self.last(x.mean(1))
        return logits


def test_the_backbone_itself_answers_where_its_segments_would_round_otherwise() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = Fused().eval()
    inputs = torch.randn(7, 9, 16, generator=torch.Generator().manual_seed(0)) * 3.0
    model = attached(backbone, inputs[:2])
    inner = len(model.exits)
    off, late = Configuration.full(inner), Configuration((True,) * inner, (2.0,) * inner)
    exact, near = (run(plan_of(model, c, MaxProb(), [Identity()] * inner), inputs).output for c in (off, late))
    expected = whole(backbone, inputs).numpy()
    np.testing.assert_array_equal(exact, expected)
    np.testing.assert_allclose(near, expected, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(near, expected)
