import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from offramp.errors import DataError, InputError, NoLabelsError
from offramp.inputs import Inputs
from offramp.model.augment import Augment
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.tasks.classification import Classification
from offramp.testing.models import CLASSES, CNN, Toy, attached
from offramp.testing.trunk import Noise, noise, tensors, trunk
from offramp.testing.untouched import untouched
from offramp.train import trunk_regime
from offramp.train.exit_losses import FromLast, FromLater, FromOriginal
from offramp.train.exit_weights import Alternating, ByDepth, ExitWeights, Line, Mean, Only, Ramp
from offramp.train.optimisers import optimiser, schedule
from offramp.train.parts import ALL, HEADS, Kinds, UpTo
from offramp.train.phase import Length, Phase, TrunkRegime
from offramp.train.trained import Trained
from offramp.train.trunk import Step

WIDTH = 6


def layers() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 9), nn.ReLU(inplace=True), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, CLASSES))


def vectors(batch: int, generator: torch.Generator) -> Inputs:
    return torch.randn(batch, WIDTH, generator=generator)


PLAIN = Toy("plain", layers, vectors)
"""Two layers with an exit behind each, and no dropout: simple enough to be trained by hand."""


@pytest.fixture(scope="module")
def two_exits() -> MultiExit:
    return attached(PLAIN.model(), PLAIN.inputs(2))


@pytest.fixture(scope="module")
def cnn() -> MultiExit:
    return attached(CNN.model(), CNN.inputs(2))


def one(**settings: Any) -> TrunkRegime:
    return TrunkRegime((Phase(**{"length": Length(steps=6), **settings}),))


def by_hand(
    multi_exit: MultiExit, source: Noise, weights: Sequence[Sequence[float]], lr: float, momentum: float
) -> list[torch.Tensor]:
    """The plain net and its two linear heads trained step by step, without a module, an optimizer or a hook.

    A parameter that no weighed loss depends on is not moved, and keeps its momentum.
    """
    model, heads = multi_exit.backbone.model, multi_exit.heads
    values = [p.detach().clone().requires_grad_() for part in (model, heads) for p in part.parameters()]
    speed: list[torch.Tensor | None] = [None] * len(values)
    labels, size = torch.from_numpy(source.labels()), 8
    per_epoch = len(source) // size
    for step, row in enumerate(weights):
        order = np.random.default_rng((3, 0, step // per_epoch)).permutation(len(source))
        rows = torch.from_numpy(order[step % per_epoch * size :][:size])
        x = source.values
        assert isinstance(x, torch.Tensor)
        w1, b1, w2, b2, w3, b3, v1, c1, v2, c2 = values
        first = F.relu(x[rows] @ w1.T + b1)
        second = F.relu(first @ w2.T + b2)
        said = (first @ v1.T + c1, second @ v2.T + c2, second @ w3.T + b3)
        losses = [F.cross_entropy(logits, labels[rows]) for logits in said]
        total = torch.stack([weight * loss for weight, loss in zip(row, losses, strict=True) if weight]).sum()
        gradients: Sequence[torch.Tensor | None] = torch.autograd.grad(total, values, allow_unused=True)
        for index, gradient in enumerate(gradients):
            if gradient is None:
                continue
            earlier = speed[index]
            moved = gradient if earlier is None else momentum * earlier + gradient
            speed[index] = moved
            values[index].data -= lr * moved
    return [value.detach() for value in values]


@pytest.mark.parametrize(
    "weights", [Ramp(), ByDepth(), Line(1.0, 0.3), Mean(), Alternating(), Only(1)], ids=lambda w: type(w).__name__
)
def test_training_is_what_it_is_by_hand(weights: ExitWeights, two_exits: MultiExit) -> None:
    """So the weights follow their schedule at each of the steps, and alternation leaves inner heads out."""
    source = noise(PLAIN)
    backbone = two_exits.backbone
    shares = (*(backbone.point(exit_.point).depth for exit_ in two_exits.exits), 1.0)
    assert shares == pytest.approx((54 / 180, 135 / 180, 1.0))
    regime = one(
        weights=weights, optimiser=optimiser("SGD", lr=0.2, momentum=0.9), schedule=None, length=Length(steps=12)
    )
    found = trunk(two_exits, regime, held=0.0).run(source, source.labels())
    expected = by_hand(two_exits, source, [weights.at(step, 12, shares) for step in range(12)], 0.2, 0.9)
    trained = [p.detach() for part in (found.model, found.heads) for p in part.parameters()]
    for mine, theirs in zip(trained, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_steps_are_told_with_their_weights_and_rates(two_exits: MultiExit) -> None:
    steps: list[Step] = []
    source = noise(PLAIN)
    regime = one(weights=Ramp(), optimiser=optimiser("SGD", lr=0.5))
    trunk(two_exits, regime).run(source, source.labels(), watch=steps.append)
    assert [step.weights[0] for step in steps] == pytest.approx([0.01 + 0.3 * step / 6 for step in range(6)])
    assert [step.weights[1] for step in steps] == pytest.approx([0.01 + 0.75 * step / 6 for step in range(6)])
    assert [step.rate for step in steps] == pytest.approx([0.25 * (1 + math.cos(math.pi * k / 6)) for k in range(6)])


def test_the_heads_alone_leave_the_backbones_answer_bit_for_bit(cnn: MultiExit) -> None:
    """Claim R1: the last exit of the disjoint regime is the backbone itself."""
    source = noise(CNN)
    found = trunk(cnn, trunk_regime("disjoint", len(cnn.exits)).done().lasting(Length(steps=4))).run(
        source, source.labels()
    )
    with torch.no_grad():
        torch.testing.assert_close(found.model(source.values), cnn.backbone.model(source.values), rtol=0, atol=0)
    assert not torch.equal(found.heads[0].net[0].weight, cnn.heads[0].net[0].weight)  # type: ignore[union-attr,index]


def test_batch_norms_of_what_learns_take_in_batches_and_no_others(cnn: MultiExit) -> None:
    source = noise(CNN)
    regime = one(learns=UpTo(1, after=0), weights=Only(1))
    after = tensors(trunk(cnn, regime, held=0.0).run(source, source.labels()))
    counts = {name: int(tensor) for name, tensor in after.items() if name.endswith("num_batches_tracked")}
    assert {name for name, count in counts.items() if count == 6} == {
        f"model.layer1.0.bn{number}.num_batches_tracked" for number in (1, 2)
    }
    assert {count for name, count in counts.items() if not name.startswith("model.layer1.0")} == {0}


def test_the_final_head_alone_learns(cnn: MultiExit) -> None:
    source = noise(CNN)
    before = {f"model.{name}": tensor for name, tensor in cnn.backbone.model.state_dict().items()}
    before |= {f"heads.{name}": tensor for name, tensor in cnn.heads.state_dict().items()}
    after = tensors(trunk(cnn, one(learns=Kinds(final=True), weights=Only(-1))).run(source, source.labels()))
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        "model.fc.weight",
        "model.fc.bias",
    }


def answering(found: Trained) -> MultiExit:
    """The trained copy with its heads, at the points of the user's model."""
    return MultiExit(replace(found.backbone, model=found.model), found.exits, found.heads)


def held_loss(found: Trained, source: Noise, seed: int) -> float:
    """The mean loss of all exits over the held samples, one sample at a time."""
    held = np.random.default_rng(seed).permutation(len(source))[: round(0.1 * len(source))]
    multi_exit, total = answering(found), 0.0
    with torch.no_grad():
        for row in held:
            outputs = multi_exit.outputs(source.inputs(np.array([row])), reader(Classification()))
            target = torch.from_numpy(source.labels()[[row]])
            total += sum(F.cross_entropy(logits, target).item() for logits in outputs) / len(outputs)
    return total / len(held)


@pytest.mark.parametrize("rate", [0.05, 2.0])
def test_the_weights_that_were_best_on_the_held_part_are_kept(rate: float, two_exits: MultiExit) -> None:
    """At the higher rate the network gets worse again, and the last weights would not do."""
    source = noise(PLAIN, 60)
    regime = one(
        weights=Line(), optimiser=optimiser("SGD", lr=rate, momentum=0.9), schedule=None, length=Length(steps=30)
    )
    found = trunk(two_exits, regime).run(source, source.labels())
    assert held_loss(found, source, 3) == pytest.approx(found.held[0], rel=1e-5)


def test_a_phase_ends_when_every_head_has_had_its_time(two_exits: MultiExit) -> None:
    """Climbing instead of descending: each check is worse than the one before."""
    source = noise(PLAIN)
    climbing = optimiser("SGD", lr=0.3, maximize=True)
    regime = one(weights=Line(), optimiser=climbing, schedule=None, length=Length(steps=100), patience=3)
    found = trunk(two_exits, regime).run(source, source.labels())
    assert found.total.steps == 2 * (1 + 3)
    with pytest.raises(InputError, match="expected a held part for early stopping, got held=0"):
        trunk(two_exits, regime, held=0.0).run(source, source.labels())


class Unlabelled(Noise):
    def labels(self) -> np.ndarray:
        raise NoLabelsError("expected labels, got none")


@pytest.mark.parametrize(
    "loss", [FromOriginal(), FromLast(FromOriginal()), FromLater(FromOriginal())], ids=lambda loss: type(loss).__name__
)
def test_distillation_needs_no_labels(loss: Any, two_exits: MultiExit) -> None:
    source = Unlabelled(PLAIN.inputs(44))
    steps: list[Step] = []
    with untouched(two_exits.backbone.model):
        found = trunk(two_exits, one(loss=loss, length=Length(steps=25))).run(source, watch=steps.append)
    assert steps[0].losses[2] == pytest.approx(0.0, abs=1e-6)  # at first the copy says what the original says
    assert steps[-1].losses[0] < steps[0].losses[0]
    assert found.total.original == 25 * 8 * two_exits.backbone.macs


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "expected labels for this regime, got none; add labels, or use the loss FromOriginal"),
        (np.zeros(3, np.int64), "expected one label for each of 44 samples, got 3 labels"),
        (np.full(44, 5), r"expected labels in 0\.\.4, the classes of the model, got 5\.\.5"),
    ],
)
def test_labels_have_to_be_there_and_fit(labels: np.ndarray | None, message: str, two_exits: MultiExit) -> None:
    with untouched(two_exits.backbone.model), pytest.raises(DataError, match=message):
        trunk(two_exits, one()).run(noise(PLAIN), labels)


def test_a_loss_that_is_no_number_is_an_error_that_says_where(two_exits: MultiExit) -> None:
    values = PLAIN.inputs(44)
    assert isinstance(values, torch.Tensor)
    values[:12] = float("nan")
    source = Noise(values)
    with (
        untouched(two_exits.backbone.model),
        pytest.raises(InputError, match=r"expected finite losses, got nan at 1/pooled-linear, .* in step \d+ of phase"),
    ):
        trunk(two_exits, one(), held=0.0).run(source, np.zeros(44, np.int64))


def test_divergence_is_the_same_error(two_exits: MultiExit) -> None:
    source = noise(PLAIN)
    regime = one(optimiser=optimiser("SGD", lr=1e30))
    with pytest.raises(InputError, match="lower the learning rate, clip the gradient"):
        trunk(two_exits, regime).run(source, source.labels())


def test_the_gradient_is_clipped_to_its_largest_norm(two_exits: MultiExit) -> None:
    """One step of plain descent moves all weights together by rate x norm."""
    source = noise(PLAIN)
    before = torch.cat([p.flatten() for part in (two_exits.backbone.model, two_exits.heads) for p in part.parameters()])
    for clip in (0.01, 0.1):
        regime = one(clip=clip, optimiser=optimiser("SGD", lr=1.0), length=Length(steps=1))
        found = trunk(two_exits, regime, held=0.0).run(source, source.labels())
        after = torch.cat([p.flatten() for part in (found.model, found.heads) for p in part.parameters()])
        assert (after - before).norm().item() == pytest.approx(clip, rel=1e-3)


def test_half_precision_is_of_the_products_only(two_exits: MultiExit) -> None:
    source = noise(PLAIN)
    full = trunk(two_exits, one()).run(source, source.labels())
    half = trunk(two_exits, one(precision="bfloat16")).run(source, source.labels())
    for name, tensor in tensors(half).items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, tensors(full)[name], rtol=0.1, atol=0.01)
    assert any(not torch.equal(tensor, tensors(full)[name]) for name, tensor in tensors(half).items())


def test_macs_are_those_counted_by_hand(two_exits: MultiExit) -> None:
    """54 MACs to the first exit, 135 to the second, 180 in all; 4 of 44 samples are held and looked at three times."""
    source, steps, batch = noise(PLAIN), 6, 8
    regime = trunk_regime("branch-wise", 2, Phase(length=Length(steps=steps)))
    found = trunk(two_exits, regime).run(source, source.labels()).spent
    forward = [54, 135, 180]
    backward = [2 * 54, 2 * (135 - 54), 0]  # behind the second exit only the classifier learns
    assert [spent.forward for spent in found] == pytest.approx([steps * batch * macs for macs in forward])
    assert [spent.backward for spent in found] == pytest.approx([steps * batch * macs for macs in backward])
    assert [spent.checks for spent in found] == pytest.approx([3 * 4 * macs for macs in forward])
    assert [spent.samples for spent in found] == [48, 48, 48]


def test_a_backbone_that_learns_together_costs_three_forwards(two_exits: MultiExit) -> None:
    source = noise(PLAIN)
    found = trunk(two_exits, one(weights=Line()), held=0.0).run(source, source.labels()).total
    assert found.macs == pytest.approx(3 * 6 * 8 * two_exits.backbone.macs)


def test_images_are_augmented_by_the_seed(cnn: MultiExit) -> None:
    source, augment = noise(CNN), Augment(shift=0.2)
    regime = one(length=Length(steps=3))
    plain, one_way, again = (
        tensors(trunk(cnn, regime, augment=how).run(source, source.labels())) for how in (None, augment, augment)
    )
    torch.testing.assert_close(one_way, again, rtol=0, atol=0)
    assert any(not torch.equal(plain[name], one_way[name]) for name in plain)
    with pytest.raises(InputError, match=r"expected images that keep their labels, got mix=0\.5; set mix=0"):
        trunk(cnn, regime, augment=Augment(mix=0.5)).run(source, source.labels())


def test_a_checkpoint_of_another_training_is_refused(two_exits: MultiExit, tmp_path: Path) -> None:
    source, path = noise(PLAIN), tmp_path / "c"
    trunk(two_exits, one(), checkpoint=path).run(source, source.labels())
    for other in ({"seed": 4}, {"batch_size": 4}, {"regime": one(clip=1.0)}, {"held": 0.2}):
        changed = {"regime": one(), "checkpoint": path, **other}
        with pytest.raises(InputError, match="it belongs to another model, regime, seed or data; delete it to train"):
            trunk(two_exits, changed.pop("regime"), **changed).run(source, source.labels())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="it belongs to another"):
        trunk(two_exits, one(), checkpoint=path).run(source, (source.labels() + 1) % CLASSES)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"cannot go on from the checkpoint .*; delete it to train anew"):
        trunk(two_exits, one(), checkpoint=path).run(source, source.labels())


def test_a_finished_training_is_read_back_without_a_step(two_exits: MultiExit, tmp_path: Path) -> None:
    source, path = noise(PLAIN), tmp_path / "c"
    first = trunk(two_exits, one(), checkpoint=path).run(source, source.labels())
    steps: list[Step] = []
    again = trunk(two_exits, one(), checkpoint=path).run(source, source.labels(), watch=steps.append)
    assert steps == []
    torch.testing.assert_close(tensors(again), tensors(first), rtol=0, atol=0)
    assert (again.spent, again.held) == (first.spent, first.held)


@pytest.mark.parametrize(
    "shape",
    [
        schedule("OneCycleLR", max_lr=0.1),
        schedule("MultiStepLR", milestones=(0.35, 0.6, 0.85)),
        lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps),
    ],
)
def test_any_schedule_is_resumed(shape: Any, two_exits: MultiExit, tmp_path: Path) -> None:
    source = noise(PLAIN)
    regime = one(schedule=shape, optimiser=lambda weights: torch.optim.Adam(weights, lr=0.02), length=Length(steps=9))
    straight = tensors(trunk(two_exits, regime).run(source, source.labels()))

    def stop(_stage: str, done: int, _total: int) -> None:
        if done == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        trunk(two_exits, regime, checkpoint=tmp_path / "c").run(source, source.labels(), progress=stop)
    resumed = tensors(trunk(two_exits, regime, checkpoint=tmp_path / "c").run(source, source.labels()))
    torch.testing.assert_close(resumed, straight, rtol=0, atol=0)


def test_progress_is_told_at_every_check(two_exits: MultiExit) -> None:
    told: list[tuple[str, int, int]] = []
    source = noise(PLAIN)
    regime = trunk_regime("mixed", 2).lasting(Length(steps=3), Length(steps=4))
    trunk(two_exits, regime).run(source, source.labels(), progress=lambda *args: told.append(args))
    assert told == [
        ("training backbone", 2, 3),
        ("training backbone", 3, 3),
        ("training all", 2, 4),
        ("training all", 4, 4),
    ]


def test_joint_training_learns_what_can_be_learnt(two_exits: MultiExit) -> None:
    source = noise(PLAIN, 400)
    regime = trunk_regime("joint", 2, Phase(length=Length(epochs=6), optimiser=optimiser("AdamW", lr=3e-2)))
    found = trunk(two_exits, regime, batch_size=20, every=20).run(source, source.labels())
    fresh = PLAIN.inputs(300, seed=77)
    assert isinstance(fresh, torch.Tensor)
    with torch.no_grad():
        outputs = answering(found).outputs(fresh, reader(Classification()))
    right = (outputs.argmax(2) == fresh[:, :CLASSES].argmax(1)).float().mean(1)
    assert right.min().item() > 0.7


def test_a_phase_in_which_nothing_learns_is_refused(two_exits: MultiExit) -> None:
    source = noise(PLAIN)
    with pytest.raises(InputError, match="expected parameters that learn, got none in UpTo"):
        trunk(two_exits, one(learns=UpTo(0, after=0))).run(source, source.labels())
    assert ALL.heads
    assert HEADS.heads
