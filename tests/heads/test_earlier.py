"""What a head makes of the answers before; parity with a per-sample reference is in `tests/run/test_together.py`."""

import pytest
import torch

from offramp.heads import head_type
from offramp.heads.earlier import Cascade, Ensemble
from offramp.heads.head import Head, HeadType
from offramp.heads.reduction import Grid
from offramp.testing.heads import HeadSuite

CLASSES = 5
CASCADED = HeadType(Grid(4), hidden=(8,), cascade=True)


class TestZtw(HeadSuite):
    @pytest.fixture
    def head_type(self) -> HeadType:
        return head_type("ztw")


class TestCascadedMlp(HeadSuite):
    @pytest.fixture
    def head_type(self) -> HeadType:
        return CASCADED


def second(kind: HeadType = CASCADED) -> Head:
    return kind.build((24,), CLASSES, torch.Generator().manual_seed(0), number=1).eval()


def test_the_last_layer_sees_the_answer_before_beside_what_it_saw() -> None:
    head, generator = second(), torch.Generator().manual_seed(1)
    x, previous = torch.randn(6, 24, generator=generator), torch.randn(6, CLASSES, generator=generator)
    last = head.net[-1]
    assert isinstance(last, torch.nn.Linear)
    assert head.cascade is not None
    wide = torch.nn.Linear(8 + CLASSES, CLASSES)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([last.weight, head.cascade.linear.weight], dim=1))  # type: ignore[list-item]
        wide.bias.copy_(last.bias)
    inner = head.net[:-1](head.reduce(x))
    beside = torch.nn.functional.layer_norm(previous, (CLASSES,))
    torch.testing.assert_close(head.predict(head.reduce(x), previous), wide(torch.cat([inner, beside], dim=1)))


def test_logits_and_log_probabilities_are_heard_alike_and_zeros_not_at_all() -> None:
    cascade = Cascade(CLASSES, torch.Generator().manual_seed(0))
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(cascade(logits), cascade(logits.log_softmax(1)), rtol=1e-4, atol=1e-5)
    assert float(cascade(logits).detach().abs().max()) > 0.1
    torch.testing.assert_close(cascade(torch.zeros(6, CLASSES)), torch.zeros(6, CLASSES), rtol=0, atol=0)


def test_no_gradient_reaches_the_exit_before() -> None:
    head = second()
    previous = torch.randn(6, CLASSES, requires_grad=True)
    head.predict(head.reduce(torch.randn(6, 24)), previous).square().sum().backward()  # type: ignore[no-untyped-call]
    assert previous.grad is None
    assert all(weight.grad is not None for weight in head.parameters())


def test_the_first_head_hears_nothing_and_says_what_later_ones_hear() -> None:
    first = CASCADED.build((24,), CLASSES, torch.Generator().manual_seed(0)).eval()
    reduced = first.reduce(torch.randn(3, 24))
    logits, heard = first.answer(0, reduced)
    torch.testing.assert_close(logits, first.predict(reduced))
    ((number, said),) = heard
    assert number == 0
    torch.testing.assert_close(said.exp(), logits.softmax(1))
    alone = head_type("grid-linear").build((24,), CLASSES, torch.Generator().manual_seed(0))
    assert alone.answer(2, reduced, heard)[1] is heard


def test_an_ensemble_is_the_exit_alone_until_it_is_fitted() -> None:
    ensemble = Ensemble(3, CLASSES)
    said = [torch.randn(4, CLASSES).log_softmax(1) for _ in range(3)]
    torch.testing.assert_close(ensemble(tuple(enumerate(said))), said[-1], rtol=0, atol=0)
