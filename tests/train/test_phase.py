import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from offramp.errors import InputError, UnknownNameError
from offramp.train.exit_losses import FromLabels, FromOriginal
from offramp.train.optimisers import Optimiser, Schedule, optimiser, schedule
from offramp.train.phase import Length, Phase, TrunkRegime


@given(st.integers(1, 9), st.integers(1, 5000), st.integers(1, 300))
def test_epochs_are_whole_batches(epochs: int, samples: int, size: int) -> None:
    steps = Length(epochs=epochs).steps_of(samples, size)
    assert steps == epochs * max(1, samples // size)
    assert Length(steps=11).steps_of(samples, size) == 11


def test_half_an_epoch_is_half_its_steps() -> None:
    assert Length(epochs=0.5).steps_of(1000, 100) == 5
    assert Length(epochs=0.01).steps_of(1000, 100) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Length(), "expected either epochs or steps, above 0, got epochs=None, steps=None"),
        (lambda: Length(epochs=1, steps=1), "expected either epochs or steps"),
        (lambda: Length(steps=0), "expected either epochs or steps, above 0"),
        (lambda: Phase(clip=0.0), "expected a largest gradient norm above 0, got 0.0"),
        (lambda: Phase(patience=0), "expected a patience of at least one check, got 0"),
        (lambda: TrunkRegime(()), "expected at least one phase, got none"),
        (lambda: TrunkRegime((Phase(),)).done(), "expected at least one phase, got none"),
        (lambda: TrunkRegime((Phase(),)).lasting(), "expected one length per phase, got 0 for 1"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=message):
        make()


def test_needs_are_those_of_any_phase() -> None:
    mixed = TrunkRegime((Phase(loss=FromLabels()), Phase(loss=FromOriginal())))
    assert (mixed.needs_labels, mixed.needs_original) == (True, True)
    assert (mixed.done().needs_labels, mixed.done().needs_original) == (False, True)


def test_phases_are_data() -> None:
    """Equal where all is equal, also their optimizers."""
    assert Phase() == Phase()
    assert Phase(optimiser=optimiser("SGD", lr=0.1)) != Phase(optimiser=optimiser("SGD", lr=0.2))
    assert hash(Phase()) == hash(Phase())


def rates(made: Schedule, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    found, shape = [], made(optimizer, steps)
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        shape.step()
    return found


def test_milestones_are_shares_of_the_phase() -> None:
    """SDN's: a tenth after 35, 60 and 85 of 100."""
    found = rates(schedule("MultiStepLR", milestones=(0.35, 0.6, 0.85)), 20)
    assert found == pytest.approx([1.0] * 7 + [0.1] * 5 + [0.01] * 5 + [0.001] * 3)
    with pytest.raises(InputError, match=r"expected milestones as shares of the phase in \(0, 1\), got \(35, 60\)"):
        rates(schedule("MultiStepLR", milestones=(35, 60)), 100)


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "LinearLR", "OneCycleLR", "PolynomialLR"])
def test_schedules_are_as_long_as_the_phase(name: str) -> None:
    settings = {"OneCycleLR": {"max_lr": 1.0}, "LinearLR": {"start_factor": 1.0, "end_factor": 0.01}}
    found = rates(schedule(name, **settings.get(name, {})), 40)
    assert found[-1] < 0.1 * max(found)


def test_a_length_of_ones_own_is_kept() -> None:
    assert rates(schedule("CosineAnnealingLR", T_max=4), 6)[4] == pytest.approx(0.0)


def test_only_what_torch_has_is_known() -> None:
    with pytest.raises(UnknownNameError, match=r"expected an optimizer of torch\.optim, got 'Adamm'"):
        Optimiser("Adamm")
    for name in ("Cosine", "ReduceLROnPlateau", "Counter"):
        with pytest.raises(UnknownNameError, match=r"expected a schedule of torch\.optim.lr_scheduler that is stepped"):
            Schedule(name)
