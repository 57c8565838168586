from dataclasses import replace

import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.model.augment import Augment
from offramp.model.multi_exit import MultiExit
from offramp.model.quantiser import HOOKS
from offramp.reading import reader
from offramp.tasks.classification import Classification
from offramp.testing.models import CNN, MLP, attached
from offramp.testing.trunk import noise, trunk
from offramp.train import TRUNK
from offramp.train.exit_weights import Only
from offramp.train.exiting import Exiting
from offramp.train.finetuning import GENTLE, Finetuning
from offramp.train.layout import layout_of
from offramp.train.optimisers import grouped, optimiser, schedule
from offramp.train.parts import ALL, PLAIN
from offramp.train.phase import Length, Phase, TrunkRegime

LOGITS_OF = reader(Classification())


@pytest.fixture(scope="module")
def cnn() -> MultiExit:
    return attached(CNN.model(), CNN.inputs(2))


@pytest.mark.parametrize("name", sorted(TRUNK))
def test_phases_share_the_epochs_and_all_else_is_as_given(name: str, cnn: MultiExit) -> None:
    made = Finetuning(epochs=6).regime(name, 2)
    assert sum(phase.length.epochs or 0 for phase in made.phases) == pytest.approx(6)
    assert abs(sum(phase.length.steps_of(64, 64) for phase in made.phases) - 1000) < len(made.phases)
    assert abs(sum(phase.length.steps_of(64 * 10**4, 64) for phase in made.phases) - 6e4) < len(made.phases)
    for mine, theirs in zip(made.phases, TRUNK[name](2, GENTLE).phases, strict=True):
        assert replace(mine, length=theirs.length) == theirs


def test_only_images_are_augmented_and_the_rest_is_handed_on(cnn: MultiExit) -> None:
    given = Finetuning(batch_size=5, held=0.2)
    found = given.trunk("joint", cnn, LOGITS_OF, 7, None)
    assert (found.batch_size, found.held, found.seed, found.augment) == (5, 0.2, 7, Augment(flip=False))
    assert given.trunk("joint", attached(MLP.model(), MLP.inputs(2)), LOGITS_OF, 7, None).augment is None
    assert replace(given, augment=None).trunk("joint", cnn, LOGITS_OF, 7, None).augment is None


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"least": 0}, {"batch_size": 0}, {"held": 1.0}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected epochs, steps and a batch size above 0"):
        Finetuning(**wrong)  # type: ignore[arg-type]


def test_heads_learn_at_their_own_rate(cnn: MultiExit) -> None:
    """One step of plain gradient descent moves a parameter by its rate times the gradient, found by autograd here."""
    source = noise(CNN, 8)
    phase = Phase(
        length=Length(steps=1), optimiser=optimiser("SGD", lr=0.5), schedule=None, head_rate=4.0, norms="kept"
    )
    moved = {}
    for rate in (1.0, 4.0):
        regime = TrunkRegime((replace(phase, head_rate=rate),))
        found = trunk(cnn, regime, batch_size=8, held=0.0).run(source, source.labels())
        moved[rate] = [
            [after - before for after, before in zip(one.parameters(), other.parameters(), strict=True)]
            for one, other in ((found.model, cnn.backbone.model), (found.heads, cnn.heads))
        ]
    torch.testing.assert_close(moved[4.0][0], moved[1.0][0], rtol=0, atol=0)
    torch.testing.assert_close(moved[4.0][1], [4 * change for change in moved[1.0][1]], rtol=1e-4, atol=1e-6)
    assert all(change.abs().max() > 0 for change in moved[1.0][1])


@pytest.mark.parametrize(("backbone", "heads"), [(1, 0), (0, 1), (1, 1)])
def test_only_heads_have_their_own_rate_and_the_schedule_begins_with_it(backbone: int, heads: int) -> None:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    made = grouped(optimiser("SGD", lr=0.5), parameters[:1][:backbone], parameters[1:][:heads], 4.0)
    rates = [0.5] * backbone + [2.0] * heads
    assert [group["lr"] for group in made.param_groups] == rates
    schedule("CosineAnnealingLR")(made, 10)
    assert [group["initial_lr"] for group in made.param_groups] == rates


def test_kept_norms_learn_their_weights_and_go_by_their_statistics(cnn: MultiExit) -> None:
    source, device_free = noise(CNN), Exiting(cnn, LOGITS_OF)
    layout = layout_of(device_free, cnn.backbone.example)
    norms = [module for module in device_free.model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    learning = set(layout.apply(ALL, device_free, "kept"))
    assert all(not norm.training and norm.weight in learning for norm in norms)
    layout.apply(ALL, device_free)
    assert all(norm.training for norm in norms)
    phase = Phase(learns=PLAIN, weights=Only(-1), length=Length(steps=3), optimiser=optimiser("SGD", lr=0.1))
    for kind in ("batch", "kept"):
        found = trunk(cnn, TrunkRegime((replace(phase, norms=kind),))).run(source, source.labels())
        same = [
            torch.equal(after, before)
            for after, before in zip(found.model.buffers(), cnn.backbone.model.buffers(), strict=True)
        ]
        assert all(same) == (kind == "kept")


def test_a_model_that_is_rounded_to_eight_bits_is_refused() -> None:
    model = MLP.model()
    model.register_buffer(HOOKS, torch.zeros(1))
    rounded = attached(model, MLP.inputs(2))
    with pytest.raises(InputError, match="train it, then quantise it"):
        Finetuning().trunk("joint", rounded, LOGITS_OF, 0, None).run(noise(MLP), noise(MLP).labels())


def test_a_head_rate_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="expected a head rate above 0"):
        Phase(head_rate=0.0)
