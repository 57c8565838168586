import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import UnknownNameError
from offramp.gates import NAMES, gate
from offramp.gates.entropy import Entropy
from offramp.gates.gate import Gate
from offramp.gates.margin import Margin
from offramp.gates.max_prob import MaxProb
from offramp.testing.gates import GateSuite

LOGITS = st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=1, max_size=5)


class TestMaxProb(GateSuite):
    @pytest.fixture
    def gate(self) -> Gate:
        return MaxProb()


class TestEntropy(GateSuite):
    @pytest.fixture
    def gate(self) -> Gate:
        return Entropy()


class TestMargin(GateSuite):
    @pytest.fixture
    def gate(self) -> Gate:
        return Margin()


def slow(name: str, row: list[float]) -> float:
    """One sample by the definition."""
    weights = [math.exp(value - max(row)) for value in row]
    p = sorted((weight / sum(weights) for weight in weights), reverse=True)
    if name == "entropy":
        return sum(value * math.log(value) for value in p if value > 0)
    return p[0] if name == "max-prob" else p[0] - p[1]


@pytest.mark.parametrize("name", sorted(NAMES))
@given(rows=LOGITS)
def test_scores_are_those_of_the_definition(name: str, rows: list[list[float]]) -> None:
    scorer = gate(name)
    score, _ = scorer.step(torch.tensor(rows, dtype=torch.float64), scorer.init(len(rows)))
    torch.testing.assert_close(score.tolist(), [slow(name, row) for row in rows], rtol=1e-9, atol=1e-9)


def test_ranges_end_where_the_docstrings_say() -> None:
    even, sure = torch.zeros(1, 4), torch.tensor([[100.0, 0.0, 0.0, 0.0]])
    for scorer, low, high in ((MaxProb(), 0.25, 1.0), (Entropy(), -math.log(4), 0.0), (Margin(), 0.0, 1.0)):
        assert scorer.step(even, ())[0].item() == pytest.approx(low)
        assert scorer.step(sure, ())[0].item() == pytest.approx(high)


def test_an_unknown_gate_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match=r"expected a gate among max-prob, entropy, margin; got 'guess'"):
        gate("guess")
