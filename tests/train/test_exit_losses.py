import math

import pytest
import torch
from torch.nn import functional as F

from offramp.errors import DataError
from offramp.train.exit_losses import Blend, ExitLoss, FromLabels, FromLast, FromLater, FromOriginal, Said

EVERY: list[ExitLoss] = [
    FromLabels(),
    FromOriginal(),
    FromLast(),
    FromLater(FromOriginal()),
    Blend(((0.5, FromLabels()), (0.5, FromLater()))),
]


def said(seed: int = 0, samples: int = 6) -> Said:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, samples, 5, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(0, 5, (samples,), generator=generator)
    return Said({index: logits[index].requires_grad_() for index in range(3)}, 2, logits[3], labels)


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> float:
    """T² KL(teacher ‖ student), summed by hand."""
    total = 0.0
    for theirs, mine in zip(teacher.tolist(), student.tolist(), strict=True):
        p = [math.exp(value / temperature) for value in theirs]
        q = [math.exp(value / temperature) for value in mine]
        total += sum(a / sum(p) * math.log((a / sum(p)) / (b / sum(q))) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(teacher)


def test_labels_are_cross_entropy() -> None:
    known = said()
    assert known.labels is not None
    for index in range(3):
        expected = F.cross_entropy(known.by_exit[index], known.labels)
        torch.testing.assert_close(FromLabels().of(index, known), expected)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_distillation_is_the_divergence_summed_by_hand(temperature: float) -> None:
    known = said()
    exits, original = known.by_exit, known.original
    assert original is not None
    for index in range(3):
        by_hand = divergence(original, exits[index], temperature)
        assert FromOriginal(temperature).of(index, known).item() == pytest.approx(by_hand)
    by_hand = divergence(exits[2], exits[0], temperature)
    assert FromLast(temperature=temperature).of(0, known).item() == pytest.approx(by_hand)
    both = (divergence(exits[1], exits[0], temperature) + divergence(exits[2], exits[0], temperature)) / 2
    assert FromLater(temperature=temperature).of(0, known).item() == pytest.approx(both)
    assert FromLater(temperature=temperature).of(1, known).item() == pytest.approx(
        divergence(exits[2], exits[1], temperature)
    )


@pytest.mark.parametrize("loss", EVERY)
def test_an_exits_loss_reaches_that_exit_alone(loss: ExitLoss) -> None:
    """Teachers are detached: imitating an exit does not draw it towards its pupil."""
    for index in range(3):
        known = said()
        loss.of(index, known).backward()  # type: ignore[no-untyped-call]
        assert [known.by_exit[other].grad is not None for other in range(3)] == [other == index for other in range(3)]


def test_the_last_exit_learns_by_the_anchor() -> None:
    known = said()
    for loss in (FromLast(FromOriginal()), FromLater(FromOriginal())):
        torch.testing.assert_close(loss.of(2, known), FromOriginal().of(2, known))


def test_what_is_needed_follows_from_the_parts() -> None:
    needs = [(loss.needs_labels, loss.needs_original, loss.needs_later) for loss in EVERY]
    assert needs == [
        (True, False, False),
        (False, True, False),
        (True, False, True),
        (False, True, True),
        (True, False, True),
    ]


@pytest.mark.parametrize("loss", EVERY)
def test_labels_are_read_only_where_they_are_needed(loss: ExitLoss) -> None:
    known = said()
    without = Said(known.by_exit, known.last, known.original, None)
    if not loss.needs_labels:
        torch.testing.assert_close(loss.of(2, without), loss.of(2, known), rtol=0, atol=0)
        return
    with pytest.raises(DataError, match="expected labels"):
        loss.of(2, without)


def test_a_blend_is_the_weighted_sum() -> None:
    known = said()
    blend = Blend(((0.3, FromLabels()), (2.0, FromOriginal())))
    expected = 0.3 * FromLabels().of(1, known) + 2.0 * FromOriginal().of(1, known)
    torch.testing.assert_close(blend.of(1, known), expected)


def test_the_original_has_to_be_there() -> None:
    with pytest.raises(DataError, match="expected the logits of the original model, got none"):
        FromOriginal().of(0, Said(said().by_exit, 2))
