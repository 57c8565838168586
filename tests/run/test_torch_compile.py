"""Stages in PyTorch, compiled, and as they are, which is faster to test."""

import shutil
from collections.abc import Iterator, Sequence

import jaxtyping
import numpy as np
import pytest
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.model.multi_exit import MultiExit
from offramp.run.buffers import Buffers, running
from offramp.run.compact import compacted
from offramp.run.executor import Executor
from offramp.run.torch_compile import Compiled, TorchCompiled
from offramp.testing.executors import ExecutorSuite, Make
from offramp.testing.models import CNN
from tests.toys import logits_of


class TestStages(ExecutorSuite):
    @pytest.fixture
    def make(self) -> Make:
        def made(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return TorchCompiled(
                live, logits_of, gate, tuple(calibrators), (True,) * len(live.exits), lambda stage: stage
            )

        return made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
class TestCompiled(ExecutorSuite):
    """Of the toys one, since compiling takes its time."""

    @pytest.fixture(autouse=True)
    def unchecked(self) -> Iterator[None]:
        """The checks of annotations are Python that would be compiled, too; users have none."""
        jaxtyping.config.update("jaxtyping_disable", True)
        yield
        jaxtyping.config.update("jaxtyping_disable", False)

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        yield next(case for case in super().cases(batch) if type(case[0].backbone.model) is type(CNN.model()))

    @pytest.fixture
    def make(self) -> Make:
        def made(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            key = id(live)
            if key not in _made:
                _made[key] = TorchCompiled(live, logits_of, gate, tuple(calibrators), (True,) * len(live.exits))
            return _made[key]

        return made


_made: dict[int, TorchCompiled] = {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_one_compilation_for_a_single_sample_and_one_for_any_number() -> None:
    def graphs() -> int:
        return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])

    class Tupled(torch.nn.Linear):
        def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor]:  # type: ignore[override]
            return (super().forward(inputs),)

    layer = Tupled(3, 2)
    run, before = Compiled(layer), graphs()
    for samples in (5, 1, 2, 7, 1, 64):
        inputs = torch.randn(samples, 3)
        torch.testing.assert_close(run(inputs), layer(inputs))
        assert not hasattr(inputs, "_dynamo_weak_dynamic_indices")
    assert graphs() == before + 2


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = type("InvalidCxxCompiler", (RuntimeError,), {})  # as torch calls it

    def fail(*_: object) -> None:
        raise missing("No working C++ compiler found")

    stage = Compiled(torch.nn.Identity())
    monkeypatch.setattr(stage, "_run", fail)
    with pytest.raises(InputError, match=r"No working C\+\+ compiler.*install a C\+\+ compiler"):
        stage(torch.zeros(1))


def test_a_batch_begun_in_the_midst_of_another_leaves_its_memory_alone() -> None:
    """As when a model is called from `on_resolved`."""
    buffers, state = Buffers(), (torch.arange(6.0),)
    rows = torch.from_numpy(np.array([1, 2]))
    with running():
        outer = compacted(state, rows, buffers, 0)
        with running():
            inner = compacted(state, rows + 2, buffers, 0)
        again = compacted(state, rows + 3, buffers, 0)
    assert inner[0].tolist() == [3.0, 4.0]
    assert outer[0].data_ptr() == again[0].data_ptr() != inner[0].data_ptr()
