from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.heads.earlier import Earlier
from offramp.heads.reduction import At
from offramp.inputs import Inputs, leaves
from offramp.model.leaving import Stop
from offramp.model.segments import Chain, State
from offramp.run.buffers import Buffers
from offramp.run.driver import End
from offramp.run.eager import Eager
from offramp.run.headed import Headed
from offramp.run.profile import seconds
from offramp.run.segmented import through
from tests.toys import NAMES, eager_of, live


class Time:
    """Passes only when somebody works."""

    now = 0.0


@dataclass(frozen=True)
class Slow:
    """Runs what `eager` runs; each piece takes a time of its own, and the first pass ten times as long."""

    eager: Eager
    time: Time

    def drive(self, inputs: Inputs, stop: Stop) -> End | None:
        chain = self.eager.chains.fit_for(inputs)
        return through(chain, leaves(inputs), stop, Buffers(), partial(self.segment, chain))

    def segment(self, chain: Chain, index: int, state: State) -> State:
        self.time.now += 10.0 * (index + 1) if self.time.now < 100 else float(index + 1)
        return chain.segment(index, state)

    def whole(self, inputs: Inputs) -> End:
        raise AssertionError("a profile is of the pieces")


@dataclass(frozen=True)
class SlowHeads(Headed):
    """Each head takes a time of its own."""

    def logits(
        self, exit_: int, feature: At, mask: torch.Tensor | None = None, earlier: Earlier = ()
    ) -> tuple[torch.Tensor, Earlier]:
        assert isinstance(self.driver, Slow)
        self.driver.time.now += 0.25 * (exit_ + 1)
        return super().logits(exit_, feature, mask, earlier)


@dataclass(frozen=True)
class SlowGate:
    time: Time
    rule: str = "direct"

    def score(self, output: torch.Tensor, exit_index: int) -> torch.Tensor:
        self.time.now += 0.125
        return MaxProb().score(output, exit_index)

    def macs(self, classes: int) -> float:
        return 0.0


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_piece_counts_with_its_own_time_per_sample(name: str) -> None:
    model, time = live(name), Time()
    inner = len(model.exits)
    executor = SlowHeads.of(Slow(eager_of(model), time), model, SlowGate(time), [Identity()] * inner)
    found = seconds(executor, NAMES[name].inputs(4), rounds=5, clock=lambda: time.now)
    segment = np.arange(1, len(model.points) + 2)
    upto = [segment[: point + 1].sum() for point in model.point_of]
    np.testing.assert_allclose(found.upto * 4, [*upto, segment.sum()])
    np.testing.assert_allclose(found.head * 4, [*(0.25 * (e + 1) for e in range(inner)), 0.0])
    np.testing.assert_allclose(found.gate * 4, [0.125] * inner + [0.0])
    assert (found.unit, found.device, found.batch_size) == ("s", "cpu", 4)
