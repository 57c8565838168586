import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.model.by_hooks import by_hooks
from offramp.model.multi_exit import MultiExit
from offramp.run.executor import Executor
from offramp.run.headed import Headed
from offramp.run.hooked import Hooked
from offramp.testing.executors import ExecutorSuite, Make
from offramp.testing.models import headed
from tests.toys import CLICKS, CNN, MLP, logits_of, untouched, whole

BY_HOOKS = {
    toy.name: headed(by_hooks(toy.model(), toy.inputs(3), logits_of), ("grid-linear", "pooled-mlp"))
    for toy in (MLP, CNN, CLICKS)
}
"""Toys without side values, which hooks cannot shrink."""


def hooked_of(live: MultiExit) -> Hooked:
    return Hooked.of(live.backbone, [point.name for point in live.points], logits_of)


class TestHooked(ExecutorSuite):
    @pytest.fixture
    def make(self) -> Make:
        def hooked(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Headed.of(hooked_of(live), live, gate, calibrators)

        return hooked

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        for toy in (MLP, CNN, CLICKS):
            yield BY_HOOKS[toy.name], toy.inputs(batch)


def test_the_model_is_as_it_was_whether_or_not_anybody_is_left() -> None:
    live, inputs = BY_HOOKS["cnn"], CNN.inputs(4)
    model, executor = live.backbone.model, hooked_of(live)
    nobody = torch.zeros(0, dtype=torch.int64)
    with untouched(model), torch.no_grad():
        assert executor.drive(inputs, lambda *_: nobody) is None
        executor.drive(inputs, lambda *_: None)
    model.train()
    with untouched(model), torch.no_grad():
        executor.drive(inputs, lambda *_: None)
    model.eval()


def test_other_forwards_of_the_model_are_not_shrunk() -> None:
    live, inputs = BY_HOOKS["mlp"], MLP.inputs(5)
    expected, seen = whole(live.backbone.model, inputs), []

    def stop(_point: int, feature: torch.Tensor) -> torch.Tensor:
        other = threading.Thread(target=lambda: seen.append(whole(live.backbone.model, inputs)))
        other.start()
        other.join()
        return torch.arange(1)

    with torch.no_grad():
        hooked_of(live).drive(inputs, stop)
    for found in seen:
        torch.testing.assert_close(found, expected)
    assert len(seen) == len(live.points)


def test_a_call_from_within_a_stop_is_refused() -> None:
    live, inputs = BY_HOOKS["mlp"], MLP.inputs(2)
    executor = hooked_of(live)

    def stop(_point: int, _feature: torch.Tensor) -> None:
        hooked_of(live).whole(inputs)

    with pytest.raises(InputError, match="while it answers a batch, got one from on_resolved"):
        executor.drive(inputs, stop)
    with torch.no_grad():
        assert executor.drive(inputs, lambda *_: None) is not None


def test_threads_take_turns_on_the_one_model() -> None:
    """Each with an executor of its own, as `Bundle.use` makes them."""
    live = BY_HOOKS["mlp"]
    failures: list[BaseException] = []
    batches = [MLP.inputs(5, seed) for seed in range(8)]
    expected = [whole(live.backbone.model, inputs)[:3] for inputs in batches]

    def work(index: int) -> None:
        try:
            for _ in range(10):
                with torch.no_grad():
                    found = hooked_of(live).drive(
                        batches[index], lambda _point, feature: torch.arange(min(3, len(feature)))
                    )
                assert found is not None
                torch.testing.assert_close(found.logits, expected[index])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
