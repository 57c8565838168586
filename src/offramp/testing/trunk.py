"""The tests every regime that trains the backbone has to pass.

A regime's test file is `class TestMine(TrunkSuite)` with one fixture `make`, which makes it for a number of exits.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.inputs import Inputs, batch_size, leaves, select
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.sources import Labels
from offramp.tasks.classification import Classification
from offramp.testing.models import CLASSES, CNN, Toy, attached
from offramp.testing.untouched import untouched
from offramp.train.exiting import Exiting
from offramp.train.layout import layout_of
from offramp.train.phase import Length, Phase, TrunkRegime
from offramp.train.trained import Trained
from offramp.train.trunk import Step, Trunk
from offramp.train.trunk_regimes import Make

SAMPLES, BATCH, STEPS = 44, 8, 3
"""40 of the samples are learnt from, 4 held; an epoch has 5 steps, a phase 3."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Samples of a toy, with labels that can be learnt: the largest of the first numbers of each."""

    values: Inputs
    name: str = "noise"

    def __len__(self) -> int:
        return batch_size(self.values)

    def fingerprint(self) -> str:
        """Sums."""
        return " ".join(f"{tensor.double().sum().item():.12e}" for tensor in leaves(self.values))

    def inputs(self, indices: np.ndarray) -> Inputs:
        """The samples at `indices`."""
        return select(self.values, torch.from_numpy(indices))

    def labels(self) -> Labels:
        """A class for each."""
        found: np.ndarray = leaves(self.values)[0].flatten(1)[:, :CLASSES].argmax(dim=1).numpy()
        return found


def noise(toy: Toy, samples: int = SAMPLES) -> Noise:
    """So many samples of a toy."""
    return Noise(toy.inputs(samples, seed=5))


def trunk(multi_exit: MultiExit, regime: TrunkRegime, **changes: Any) -> Trunk:
    """A short training."""
    settings: dict[str, Any] = {"batch_size": BATCH, "held": 0.1, "every": 2, "seed": 3}
    return Trunk(multi_exit, regime, reader(Classification()), **{**settings, **changes})


def tensors(trained: Trained) -> dict[str, torch.Tensor]:
    """All weights and buffers of the model and its heads, under the names of `Exiting`."""
    model = {f"model.{name}": tensor for name, tensor in trained.model.state_dict().items()}
    return model | {f"heads.{name}": tensor for name, tensor in trained.heads.state_dict().items()}


@cache
def _network() -> MultiExit:
    """Analysed once: training leaves it untouched, as one of the tests makes sure."""
    return attached(CNN.model(), CNN.inputs(2))


class Stopped(Exception):  # noqa: N818
    """Somebody pulled the plug."""


class TrunkSuite:
    """What holds for every regime that trains the backbone; subclass it and give the fixture `make`."""

    def made(self, make: Make) -> tuple[MultiExit, TrunkRegime]:
        """A network with batch norms and dropout, and the regime for it; the last weights of each phase are kept."""
        multi_exit = _network()
        return multi_exit, make(len(multi_exit.exits), Phase(length=Length(steps=STEPS)))

    def test_each_phase_trains_what_it_says_and_nothing_else(self, make: Make) -> None:
        """Frozen parameters and buffers are bit for bit what they were; each part that learns has changed."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)
        network = Exiting(multi_exit, reader(Classification()))
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        layout = layout_of(network, multi_exit.backbone.example)
        for number, phase in enumerate(regime.phases):
            sofar = TrunkRegime(regime.phases[: number + 1])
            after = tensors(trunk(multi_exit, sofar, held=0.0).run(source, source.labels()))
            for name, tensor in after.items():
                owner = name.rpartition(".")[0]
                deciding = {layout.parameters[name]} if name in layout.parameters else layout.modules[owner]
                learns = any(phase.learns.holds(piece) for piece in deciding)
                assert torch.equal(tensor, before[name]) != learns, name
            before = after

    def test_the_users_model_and_heads_are_untouched(self, make: Make) -> None:
        """Also where training breaks off with an exception."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)

        def stop(step: Step) -> None:
            if step.step == 1:
                raise Stopped

        with untouched(multi_exit.backbone.model), untouched(multi_exit.heads):
            trunk(multi_exit, regime).run(source, source.labels())
            try:
                trunk(multi_exit, regime).run(source, source.labels(), watch=stop)
            except Stopped:
                return
        raise AssertionError("expected an exception in the middle of training to come through")

    def test_it_is_decided_by_the_seed(self, make: Make) -> None:
        """Whatever is drawn in between; another seed gives other weights."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)
        one = tensors(trunk(multi_exit, regime).run(source, source.labels()))
        torch.rand(3)
        same = tensors(trunk(multi_exit, regime).run(source, source.labels()))
        other = tensors(trunk(multi_exit, regime, seed=4).run(source, source.labels()))
        torch.testing.assert_close(same, one, rtol=0, atol=0)
        assert any(not torch.equal(one[name], other[name]) for name in one)

    def test_killed_and_resumed_is_not_killed(self, make: Make, tmp_path: Path) -> None:
        """Bit for bit, costs included, wherever it was killed."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)
        straight = trunk(multi_exit, regime).run(source, source.labels())
        total = STEPS * len(regime.phases)
        for after in range(1, total + 1, max(1, total // 2)):
            taken: list[Step] = []

            def stop(step: Step, taken: list[Step] = taken, after: int = after) -> None:
                taken.append(step)
                if len(taken) == after:
                    raise Stopped

            path = tmp_path / f"{after}.checkpoint"
            try:
                trunk(multi_exit, regime, checkpoint=path).run(source, source.labels(), watch=stop)
            except Stopped:
                resumed = trunk(multi_exit, regime, checkpoint=path).run(source, source.labels())
                torch.testing.assert_close(tensors(resumed), tensors(straight), rtol=0, atol=0)
                assert (resumed.spent, resumed.held) == (straight.spent, straight.held)
            else:
                raise AssertionError(f"expected {total} steps, got fewer than {after}")

    def test_every_exit_is_weighed_at_every_step(self, make: Make) -> None:
        """No weight is negative, some weight is not 0, and only exits that count have a loss."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)
        steps: list[Step] = []
        found = trunk(multi_exit, regime).run(source, source.labels(), watch=steps.append)
        assert [step.step for step in steps] == list(range(STEPS)) * len(regime.phases)
        assert [spent.steps for spent in found.spent] == [STEPS] * len(regime.phases)
        for step in steps:
            assert len(step.weights) == len(multi_exit.exits) + 1
            assert min(step.weights) >= 0
            assert max(step.weights) > 0
            assert set(step.losses) == {index for index, weight in enumerate(step.weights) if weight}

    def test_it_ends_with_a_model_that_can_be_left(self, make: Make) -> None:
        """The copy is in eval mode and gives finite answers at every exit, as the model's own forward does."""
        multi_exit, regime = self.made(make)
        source = noise(CNN)
        trained = trunk(multi_exit, regime).run(source, source.labels())
        assert not any(module.training for part in (trained.model, trained.heads) for module in part.modules())
        with torch.no_grad():
            outputs = trained.multi_exit(reader(Classification())).outputs(source.values, reader(Classification()))
            assert bool(torch.isfinite(outputs).all())
            torch.testing.assert_close(outputs[-1], trained.model(source.values), rtol=0, atol=0)
