from collections.abc import Sequence

import pytest
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.gates.gate import Gate
from offramp.gates.max_prob import MaxProb
from offramp.model.multi_exit import MultiExit
from offramp.run.executor import Executor
from offramp.run.stepped import Stepped
from offramp.testing.executors import ExecutorSuite, Make
from tests.toys import CNN, NAMES, attached, eager_of, live, untouched, whole


class TestEager(ExecutorSuite):
    @pytest.fixture
    def make(self) -> Make:
        def eager(live_: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Stepped.of(eager_of(live_), live_, gate, calibrators)

        return eager


def test_segments_run_on_the_users_own_parameters() -> None:
    model = CNN.model()
    executor = eager_of(attached(model, CNN.inputs(2)))
    mine = {id(parameter) for parameter in model.parameters()}
    segments = executor.chains.fit_for(CNN.inputs(2)).segments
    assert {id(p) for segment in segments for p in segment.parameters()} == mine
    inputs = CNN.inputs(3)
    with torch.no_grad():
        next(iter(model.parameters())).mul_(2.0)
        found = executor.drive(inputs, lambda _point, _feature: None)
    assert found is not None
    torch.testing.assert_close(found.logits, whole(model, inputs))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_model_in_train_mode_is_run_in_eval_mode_and_given_back(name: str) -> None:
    model = NAMES[name].model()
    executor = eager_of(attached(model, NAMES[name].inputs(2)))
    inputs = NAMES[name].inputs(4)
    expected = whole(model, inputs)
    model.train()
    with untouched(model):
        torch.testing.assert_close(executor.whole(inputs).logits, expected, rtol=0, atol=0)


def test_heads_are_the_exits_in_order() -> None:
    model = live("vit")
    executor = Stepped.of(eager_of(model), model, MaxProb(), [Identity()] * len(model.exits))
    feature = torch.randn(2, *model.points[0].feature_shape)
    with torch.no_grad():
        torch.testing.assert_close(executor.logits(1, feature)[0], model.heads[1](feature), rtol=0, atol=0)
    assert not any(head.training for head in model.heads)
