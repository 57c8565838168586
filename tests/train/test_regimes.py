import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError
from offramp.testing.regimes import RegimeSuite
from offramp.train import NAMES
from offramp.train.disjoint import Disjoint
from offramp.train.distil import Distil
from offramp.train.regime import Regime

ROWS = st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=4)


OTHERS = ("distil-each", "selfxit-each", "each", "distil-values", "values")
"""Of other tasks; see `test_other_tasks`."""

PER_EXIT = {name: regime for name, regime in NAMES.items() if isinstance(regime, Regime) and name not in OTHERS}


@pytest.mark.parametrize("name", sorted(PER_EXIT))
class TestEveryName(RegimeSuite):
    @pytest.fixture
    def regime(self, name: str) -> Regime:
        return PER_EXIT[name]


def softmax(row: list[float], temperature: float) -> list[float]:
    weights = [math.exp(value / temperature) for value in row]
    return [weight / sum(weights) for weight in weights]


@given(exits=ROWS, seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_distillation_is_the_divergence_summed_by_hand(exits: list[list[float]], seed: int, temperature: float) -> None:
    backbone = (torch.randn(len(exits), 3, generator=torch.Generator().manual_seed(seed)) * 3.0).double()
    total = 0.0
    for mine, theirs in zip(exits, backbone.tolist(), strict=True):
        p, q = softmax(theirs, temperature), softmax(mine, temperature)
        total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
    loss = Distil(temperature).loss(torch.tensor(exits, dtype=torch.float64), backbone, None)
    assert loss.item() == pytest.approx(temperature**2 * total / len(exits), abs=1e-9)


def test_an_exit_that_says_what_the_backbone_says_has_nothing_to_learn() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert Distil().loss(logits + 5.0, logits, None).item() == pytest.approx(0.0, abs=1e-6)


@given(exits=ROWS, seed=st.integers(0, 99))
def test_disjoint_is_the_cross_entropy_summed_by_hand(exits: list[list[float]], seed: int) -> None:
    labels = torch.randint(0, 3, (len(exits),), generator=torch.Generator().manual_seed(seed))
    by_hand = [-math.log(softmax(row, 1.0)[label]) for row, label in zip(exits, labels.tolist(), strict=True)]
    logits = torch.tensor(exits, dtype=torch.float64)
    loss = Disjoint().loss(logits, torch.zeros_like(logits), labels)
    assert loss.item() == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-9)


def test_disjoint_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="expected labels for the disjoint regime, got none; train with distil"):
        Disjoint().loss(torch.zeros(2, 3), torch.zeros(2, 3), None)
