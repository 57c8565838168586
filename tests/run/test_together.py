"""Heads that hear each other, on every back end: what is carried follows the samples."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.decide.replay import replay
from offramp.deciding import table
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.gates.max_prob import MaxProb
from offramp.heads import head_type
from offramp.inputs import Inputs, select
from offramp.model.backbone import Backbone
from offramp.model.by_hooks import by_hooks
from offramp.model.multi_exit import MultiExit, Recording
from offramp.run.choice import executor
from offramp.run.cuda_graphs import _taken
from offramp.run.executor import Executor
from offramp.run.headed import Headed
from offramp.run.loop import Plan, run, stops_of
from offramp.run.pooled import Pooled
from offramp.run.stage import first_state, stages
from offramp.run.stepped import Stepped
from offramp.run.torch_compile import TorchCompiled
from offramp.tasks.classification import Classification
from offramp.testing.executors import ExecutorSuite, Make
from offramp.testing.models import TOYS, headed
from offramp.types import Configuration
from tests.reference import together as reference
from tests.run.test_hooked import BY_HOOKS, hooked_of
from tests.run.test_loop import NEAR
from tests.toys import NAMES, eager_of, live, logits_of


def hearing(backbone: Backbone, kind: str = "ztw") -> MultiExit:
    """Heads at all points, with ensembles that are not those of any exit alone."""
    made, generator = headed(backbone, (kind,)), torch.Generator().manual_seed(5)
    for index in range(len(made.exits)):
        ensemble = made.head(index).ensemble
        assert ensemble is not None
        ensemble.weight.uniform_(0.0, 1.0, generator=generator)
        ensemble.bias.uniform_(-0.5, 0.5, generator=generator)
    return made


@cache
def by_graph(name: str) -> MultiExit:
    return hearing(live(name).backbone)


@cache
def hooked(name: str) -> MultiExit:
    return hearing(BY_HOOKS[name].backbone)


class Hearing(ExecutorSuite):
    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        for toy in TOYS:
            yield by_graph(toy.name), toy.inputs(batch)


class TestEager(Hearing):
    @pytest.fixture
    def make(self) -> Make:
        def made(live_: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Stepped.of(eager_of(live_), live_, gate, calibrators)

        return made


class TestHooked(Hearing):
    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        for name in BY_HOOKS:
            yield hooked(name), NAMES[name].inputs(batch)

    @pytest.fixture
    def make(self) -> Make:
        def made(live_: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Headed.of(hooked_of(live_), live_, gate, calibrators)

        return made


class TestStages(Hearing):
    """The modules that are compiled, recorded and exported."""

    @pytest.fixture
    def make(self) -> Make:
        def made(live_: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            everyone = (True,) * len(live_.exits)
            return TorchCompiled(live_, logits_of, gate, tuple(calibrators), everyone, lambda stage: stage)

        return made


def eager(live_: MultiExit, enabled: tuple[bool, ...]) -> Executor:
    return executor(live_, logits_of, MaxProb(), [Identity()] * len(live_.exits), enabled)


def staged(live_: MultiExit, enabled: tuple[bool, ...]) -> Executor:
    calibrators = (Identity(),) * len(live_.exits)
    return TorchCompiled(live_, logits_of, MaxProb(), calibrators, enabled, lambda stage: stage)


MODELS = [(by_graph, "cnn", eager), (by_graph, "vit", staged), (by_graph, "mlp", staged), (hooked, "cnn", eager)]


@pytest.mark.parametrize(("kind", "name", "make"), MODELS)
@settings(deadline=None, max_examples=15)
@given(data=st.data(), batch=st.integers(1, 9), seed=st.integers(0, 50))
def test_each_sample_leaves_as_it_would_alone(
    kind: object, name: str, make: object, data: st.DataObject, batch: int, seed: int
) -> None:
    """Whichever exits are on: one that is off says nothing."""
    model = kind(name)  # type: ignore[operator]
    inner = len(model.exits)
    enabled = tuple(data.draw(st.lists(st.booleans(), min_size=inner, max_size=inner)))
    threshold = tuple(data.draw(st.lists(st.floats(0.2, 0.9), min_size=inner, max_size=inner)))
    configuration = Configuration(enabled, threshold)
    inputs = NAMES[name].inputs(batch, seed)
    plan = Plan(configuration, stops_of(enabled, model.point_of), make(model, enabled))  # type: ignore[operator]
    found = run(plan, inputs)
    for index in range(batch):
        said = reference.answers(model, enabled, select(inputs, torch.tensor([index])))
        if any(abs(one.max() - threshold[exit_]) < NEAR for exit_, one in said.items()):
            continue
        leaves = [exit_ for exit_, one in said.items() if one.max() >= threshold[exit_]]
        assert found.exit_index[index] == (leaves[0] if leaves else inner)
        if leaves:
            answered = torch.from_numpy(found.output[index]).softmax(0).numpy()
            np.testing.assert_allclose(answered, said[leaves[0]], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("kind", "name"), [(by_graph, "cnn"), (by_graph, "vit"), (hooked, "mlp")])
def test_runtime_is_replay_at_every_batch_size_and_in_throughput_mode(kind: object, name: str) -> None:
    model = kind(name)  # type: ignore[operator]
    inputs, inner = NAMES[name].inputs(48, 7), len(model.exits)
    with torch.no_grad():
        recording = Recording(model.outputs(inputs, logits_of).numpy(), "choose", model.together)
    identity = [Identity()] * inner
    scores = table(recording, Classification(), MaxProb(), identity, model.macs())
    enabled = (True,) * inner
    configuration = Configuration(enabled, tuple(float(np.quantile(row, 0.7)) for row in scores.score[:-1]))
    expected = replay(scores, configuration).exit_index
    assert len(set(expected.tolist())) > 2
    clear = np.abs(scores.score[:-1] - np.array(configuration.threshold)[:, None]).min(axis=0) >= NEAR
    plan = Plan(configuration, stops_of(enabled, model.point_of), eager(model, enabled))
    for size in (1, 7, 48):
        parts = [torch.arange(start, min(start + size, 48)) for start in range(0, 48, size)]
        exits = np.concatenate([run(plan, select(inputs, part)).exit_index for part in parts])
        np.testing.assert_array_equal(exits[clear], expected[clear])
    if kind is hooked:
        return
    left: dict[int, int] = {}
    pool = Pooled(plan, lambda number, _output, exit_, _score: left.update({number: exit_}), full=8)
    for start in range(0, 48, 6):
        pool.add(select(inputs, torch.arange(start, start + 6)))
    pool.flush()
    np.testing.assert_array_equal(np.array([left[number] for number in range(48)])[clear], expected[clear])


@pytest.mark.parametrize("name", ["cnn", "text"])
def test_a_stage_takes_what_the_one_before_hands_on(name: str) -> None:
    """CUDA graphs part what is handed on from what is said by the number of tensors that the next stage takes."""
    model = by_graph(name)
    inner = len(model.exits)
    enabled = tuple(index != 1 for index in range(inner))
    made = stages(model, logits_of, MaxProb(), [Identity()] * inner, enabled)
    assert [stage.before for stage in made[:4]] == [(), (0,), (0, 2), (0, 2, 3)]
    state = first_state(NAMES[name].inputs(3), made[0].masked)
    for stage, following in pairwise(made):
        with torch.no_grad():
            found = stage(*state)
        assert len(found) - 2 * len(stage.exits) == _taken(following)
        state = found[: _taken(following)]


def test_a_table_of_all_exits_says_nothing_about_some_of_them() -> None:
    model = by_graph("mlp")
    with torch.no_grad():
        outputs = model.outputs(NAMES["mlp"].inputs(20, 7), logits_of).numpy()
    inner = len(model.exits)
    cost = model.macs()
    made = table(Recording(outputs, "choose", model.together), Classification(), MaxProb(), [Identity()] * inner, cost)
    replay(made, Configuration.full(inner))
    replay(made, Configuration((True,) * inner, (0.5,) * inner))
    some = (True,) * (inner - 1) + (False,)
    with pytest.raises(InputError, match=f"expected all exits on, or none, .* got {inner - 1} of {inner}"):
        replay(made, Configuration(some, (0.5,) * inner))


def test_what_hearing_costs_is_counted() -> None:
    """Of exit l the cascade's C x C, but at the first, and l + 1 numbers a class."""
    backbone = live("cnn").backbone
    heard, alone = headed(backbone, ("ztw",)).macs(), headed(backbone, ("sdn",)).macs()
    classes = backbone.classes
    extra = [(number + 1) * classes + (classes * classes if number else 0) for number in range(len(heard.head) - 1)]
    np.testing.assert_array_equal(heard.head - alone.head, [*extra, 0])


def test_heads_that_hear_do_not_stand_beside_some_that_do_not() -> None:
    backbone = live("mlp").backbone
    with pytest.raises(InputError, match="heads that all hear each other, or none"):
        _ = headed(backbone, ("ztw", "sdn")).together
    assert head_type("ztw").hears
    assert not headed(by_hooks(NAMES["mlp"].model(), NAMES["mlp"].inputs(3), logits_of)).together
