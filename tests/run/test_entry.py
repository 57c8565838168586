"""Whole networks as heads at the input, on every driver."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.decide.replay import replay
from offramp.deciding import table
from offramp.gates.max_prob import MaxProb
from offramp.heads import head_type
from offramp.heads.network import Answers, network_head
from offramp.inputs import Inputs, call, tokens_of
from offramp.live import Live
from offramp.model.backbone import Backbone
from offramp.model.by_hooks import by_hooks
from offramp.model.cache import Pass
from offramp.model.macs import network_macs
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import analyse
from offramp.model.pruned import Pruned, droppable, pruned_head
from offramp.run.choice import executor
from offramp.run.executor import Executor
from offramp.run.headed import Headed
from offramp.run.hooked import Hooked
from offramp.run.loop import Plan, run, stops_of
from offramp.run.pooled import Pooled
from offramp.tasks.classification import Classification
from offramp.types import INPUT, Configuration, Exit
from tests.sources import Drawn
from tests.toys import CLICKS, CNN, NAMES, TEXT, Toy, logits_of, untouched

TOYS = [CNN, TEXT, CLICKS]
"""One input, named ones with a mask, and several."""


class Small(nn.Module):
    """A small network that takes what the toy's backbone takes."""

    def __init__(self, toy: Toy) -> None:
        super().__init__()
        self.inner = toy.model(seed=5) if toy is not CNN else nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
        self.eval()
        with torch.no_grad():
            call(self.inner, toy.inputs(2))

    def forward(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> torch.Tensor:
        return logits_of(self.inner(*args, **kwargs))


@cache
def small(name: str) -> nn.Module:
    """The network that is the head at the input."""
    return Small(NAMES[name])


def with_entry(backbone: Backbone, network: nn.Module) -> MultiExit:
    generator = torch.Generator().manual_seed(0)
    point = backbone.points[1]
    exits = (Exit(INPUT, "network"), Exit(point.name, "grid-linear"))
    answers = Answers(network, backbone.example, logits_of, network_macs(network, backbone.example, logits_of))
    tokens = tokens_of(backbone.example)
    inner = head_type("grid-linear").build(point.feature_shape, backbone.classes, generator, tokens)
    return MultiExit(backbone, exits, nn.ModuleList([network_head(answers, backbone.classes), inner]).eval())


@cache
def entered(name: str) -> MultiExit:
    """A toy with another toy of its kind as a head at the input."""
    return with_entry(analyse(NAMES[name].model(), NAMES[name].inputs(2), logits_of), small(name))


def recorded(model: MultiExit, inputs: Inputs) -> Recording:
    with frozen(model.backbone.model), torch.no_grad():
        return Recording(model.outputs(inputs, logits_of).numpy(), "choose")


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_a_network_at_the_input_says_what_it_says_alone(toy: Toy) -> None:
    model, inputs = entered(toy.name), toy.inputs(5)
    outputs = recorded(model, inputs).outputs
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(outputs[0]), call(small(toy.name), inputs))
        torch.testing.assert_close(torch.from_numpy(outputs[-1]), logits_of(call(model.backbone.model, inputs)))


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_it_is_cached_with_the_features(toy: Toy, tmp_path: Path) -> None:
    model, source = entered(toy.name), Drawn.of(toy, 9)
    with untouched(model.backbone.model):
        cached = Pass(model.backbone.model, logits_of, model.wanted(), "me", 4).run(source, tmp_path, split="choose")
    found = model.record(cached).outputs
    np.testing.assert_allclose(found, recorded(model, source.inputs(np.arange(9))).outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_its_macs_are_charged_to_everybody(toy: Toy) -> None:
    model = entered(toy.name)
    cost = model.macs()
    assert cost.upto[0] == 0.0
    assert cost.head[0] == network_macs(small(toy.name), toy.inputs(2), logits_of) > 0
    assert cost.leaving(np.array([True, False]))[-1] == cost.backbone + cost.head[0]


def middle(model: MultiExit, inputs: Inputs) -> Configuration:
    """Both exits part the samples, clear of every score."""
    scores = np.sort(recorded(model, inputs).scores(MaxProb(), [Identity()] * 2)[:-1], axis=1)
    return Configuration(
        (True, True), tuple(float(row[len(row) // 2 - 1 : len(row) // 2 + 1].mean()) for row in scores)
    )


def by_chain(model: MultiExit, enabled: Sequence[bool]) -> Executor:
    return executor(model, logits_of, MaxProb(), [Identity()] * 2, enabled)


def by_hook(model: MultiExit, enabled: Sequence[bool]) -> Executor:
    names = [model.exits[1].point]
    hooked = by_hooks(model.backbone.model, model.backbone.example, logits_of, names)
    return by_chain(MultiExit(hooked, model.exits, model.heads), enabled)


@pytest.mark.parametrize(
    ("toy", "made"),
    [*((toy, by_chain) for toy in TOYS), (CNN, by_hook)],
    ids=["cnn-chain", "text-chain", "clicks-chain", "cnn-hook"],
)
def test_the_runtime_leaves_where_replay_says(toy: Toy, made: Callable[[MultiExit, Sequence[bool]], Executor]) -> None:
    model, inputs = entered(toy.name), toy.inputs(16)
    for enabled in ((True, True), (True, False), (False, True)):
        configuration = Configuration(enabled, middle(model, inputs).threshold)
        found = run(Plan(configuration, stops_of(enabled, model.point_of), made(model, enabled)), inputs)
        said = recorded(model, inputs)
        tables = table(said, Classification(), MaxProb(), [Identity()] * 2, model.macs())
        expected = replay(tables, configuration).exit_index
        np.testing.assert_array_equal(found.exit_index, expected)
        np.testing.assert_allclose(found.output, said.outputs[expected, np.arange(16)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_before_a_model_that_cannot_be_cut_at_all(toy: Toy) -> None:
    model, inputs = entered(toy.name), toy.inputs(16)
    threshold = middle(model, inputs).threshold[0]
    runs = Headed.of(Hooked(model.backbone.model, (INPUT,), logits_of), model, MaxProb(), [Identity()] * 2)
    found = run(Plan(Configuration((True, False), (threshold, 1.0)), ((0,),), runs), inputs)
    said = recorded(model, inputs)
    leaves_there = said.scores(MaxProb(), [Identity()] * 2)[0] >= threshold
    np.testing.assert_array_equal(found.exit_index == 0, leaves_there)
    expected = said.outputs[np.where(leaves_there, 0, 2), np.arange(16)]
    np.testing.assert_allclose(found.output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
def test_survivors_of_the_input_wait_for_each_other(toy: Toy) -> None:
    model, inputs = entered(toy.name), toy.inputs(16)
    configuration = middle(model, inputs)
    plan = Plan(configuration, stops_of(configuration.enabled, model.point_of), by_chain(model, (True, True)))
    answers: dict[int, int] = {}
    pool = Pooled(plan, lambda number, _output, exit_, _score: answers.update({number: exit_}), full=5)
    for _ in range(3):
        pool.add(inputs)
    pool.flush()
    assert [answers[number] for number in range(48)] == run(plan, inputs).exit_index.tolist() * 3


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.name)
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_exported_stages_have_the_network_in_the_first_one(toy: Toy, backend: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime" if backend == "onnx" else "openvino")
    from offramp.backends import executors

    model, inputs = entered(toy.name), toy.inputs(16)
    live = Live(model, logits_of, MaxProb(), (Identity(), Identity()))
    configuration = middle(model, inputs)
    make = executors(live, [backend], tmp_path, 1)[backend]
    plan = Plan(configuration, stops_of(configuration.enabled, model.point_of), make(configuration.enabled))
    expected = run(replace_executor(plan, model), inputs)
    found = run(plan, inputs)
    np.testing.assert_array_equal(found.exit_index, expected.exit_index)
    np.testing.assert_allclose(found.output, expected.output, rtol=1e-3, atol=1e-4)


def replace_executor(plan: Plan, model: MultiExit) -> Plan:
    return Plan(plan.configuration, plan.stops, by_chain(model, plan.configuration.enabled))


def test_a_student_of_the_backbone_is_such_a_network() -> None:
    backbone = analyse(CNN.model(), CNN.inputs(2), logits_of)
    model = with_entry(backbone, Pruned(backbone, droppable(backbone)[:1]))
    assert 0 < model.macs().head[0] < model.backbone.macs
    configuration, inputs = middle(model, CNN.inputs(16)), CNN.inputs(16)
    found = run(Plan(configuration, ((0,), (1,)), by_chain(model, (True, True))), inputs)
    assert {0, 1, 2} >= set(found.exit_index.tolist()) > {0}


@pytest.mark.parametrize("backend", ["eager", "onnx", "openvino"])
def test_a_branch_is_part_of_its_stage(backend: str, tmp_path: Path) -> None:
    backbone, inputs = analyse(CNN.model(), CNN.inputs(2), logits_of), CNN.inputs(16)
    start = "layer1.0"
    branch = pruned_head(backbone, droppable(backbone, start)[:1], logits_of, start)
    later = head_type("grid-linear").build(backbone.point("layer1.1").feature_shape, 5, torch.Generator())
    exits = (Exit(start, "student"), Exit("layer1.1", "grid-linear"))
    model = MultiExit(backbone, exits, nn.ModuleList([branch, later]))
    assert 0 < model.macs().head[0] < model.backbone.macs
    configuration = middle(model, inputs)
    plan = Plan(configuration, ((0,), (1,)), by_chain(model, (True, True)))
    if backend != "eager":
        pytest.importorskip("onnxruntime" if backend == "onnx" else "openvino")
        from offramp.backends import executors

        live = Live(model, logits_of, MaxProb(), (Identity(), Identity()))
        make = executors(live, [backend], tmp_path, 1)[backend]
        plan = Plan(configuration, plan.stops, make(configuration.enabled))
    said = recorded(model, inputs)
    scores = said.scores(MaxProb(), [Identity()] * 2)
    first = scores[0] >= configuration.threshold[0]
    second = ~first & (scores[1] >= configuration.threshold[1])
    found = run(plan, inputs)
    expected = np.where(first, 0, np.where(second, 1, 2))
    assert set(expected.tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(found.exit_index, expected)
    np.testing.assert_allclose(found.output, said.outputs[expected, np.arange(16)], rtol=1e-3, atol=1e-4)


def test_a_network_with_numbers_without_axes_has_a_name() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(432), nn.Linear(432, 5)).eval()
    names = [Answers(network, CNN.inputs(2), logits_of, 1.0).name]
    with torch.no_grad():
        network[2].bias.add_(1.0)  # type: ignore[operator]
    names.append(Answers(network, CNN.inputs(2), logits_of, 1.0).name)
    assert names[0] != names[1]
