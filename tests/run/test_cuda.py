"""The executors on a CUDA device, where there is one."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.vector import Vector
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.model.multi_exit import MultiExit
from offramp.run.cuda_graphs import CudaGraphs
from offramp.run.executor import Executor
from offramp.run.stepped import Stepped
from offramp.testing.executors import ExecutorSuite, Make
from offramp.testing.models import TOYS, Toy, attached
from tests.toys import eager_of, logits_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@cache
def on_device(toy: Toy) -> MultiExit:
    return attached(toy.model().cuda(), toy.inputs(2), ("grid-linear", "pooled-mlp"))


class OnCuda(ExecutorSuite):
    """The toys on the device; the inputs stay where they are."""

    tolerance = 1e-3

    @pytest.fixture(autouse=True)
    def exact(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        for toy in TOYS:
            live = on_device(toy)
            live.heads.cuda()
            yield live, toy.inputs(batch)


class TestEagerOnCuda(OnCuda):
    @pytest.fixture
    def make(self) -> Make:
        def eager(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return Stepped.of(eager_of(live), live, gate, calibrators)

        return eager


class TestCudaGraphs(OnCuda):
    @pytest.fixture
    def make(self) -> Make:
        def graphs(live: MultiExit, gate: Gate, calibrators: Sequence[Calibrator]) -> Executor:
            return CudaGraphs(live, logits_of, gate, tuple(calibrators), (True,) * len(live.exits))

        return graphs


class TestCudaGraphsWithParameters(TestCudaGraphs):
    """Calibrators whose parameters are arrays: a recorded stage may copy nothing from the host."""

    def calibrators(self, live: MultiExit) -> list[Calibrator]:
        classes = live.backbone.classes
        vector = Vector(tuple(np.linspace(0.5, 2.0, classes).tolist()), tuple(np.linspace(-0.5, 0.5, classes).tolist()))
        knots = Isotonic((-1.5, -1.2, -1.0, 0.5), (0.3, 0.5, 0.55, 0.9))
        return [(vector, knots)[index % 2] for index in range(len(live.exits))]
