import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from offramp.errors import InputError, UnknownNameError
from offramp.gates import gate
from offramp.gates.entropy import Entropy
from offramp.gates.gate import Gate
from offramp.gates.gati import DECAY, Gati
from offramp.gates.jei import statistics
from offramp.gates.margin import Margin
from offramp.gates.max_prob import MaxProb
from offramp.gates.patience import Patience
from offramp.testing.gates import GateSuite
from tests.scorers import SCORERS

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


@pytest.mark.parametrize("name", ["entropy", "margin", "max-prob"])
@given(rows=LOGITS)
def test_scores_are_those_of_the_definition(name: str, rows: list[list[float]]) -> None:
    scorer = gate(name)
    score = scorer.score(torch.tensor(rows, dtype=torch.float64), 0)
    torch.testing.assert_close(score.tolist(), [slow(name, row) for row in rows], rtol=1e-9, atol=1e-9)


def test_ranges_end_where_the_docstrings_say() -> None:
    even, sure = torch.zeros(1, 4), torch.tensor([[100.0, 0.0, 0.0, 0.0]])
    for scorer, low, high in ((MaxProb(), 0.25, 1.0), (Entropy(), -math.log(4), 0.0), (Margin(), 0.0, 1.0)):
        assert scorer.score(even, 0).item() == pytest.approx(low)
        assert scorer.score(sure, 0).item() == pytest.approx(high)


def test_an_unknown_gate_is_refused_by_name() -> None:
    with pytest.raises(
        UnknownNameError,
        match="expected a gate among max-prob, entropy, margin, patience, gati, gati-sorted, jei, each-label, within; "
        "got 'guess'",
    ):
        gate("guess")


class TestPatience(GateSuite):
    sure = False

    @pytest.fixture
    def gate(self) -> Gate:
        return Patience()


class TestGati(GateSuite):
    fewest = 4
    sure = False  # a selector looks at the class, too

    @pytest.fixture
    def gate(self) -> Gate:
        return SCORERS["gati"]


class TestGatiSorted(GateSuite):
    fewest = 4

    @pytest.fixture
    def gate(self) -> Gate:
        return SCORERS["gati-sorted"]


class TestJei(GateSuite):
    @pytest.fixture
    def gate(self) -> Gate:
        return SCORERS["jei"]


@pytest.mark.parametrize("name", ["gati", "gati-sorted", "jei"])
def test_a_gate_that_has_not_learned_says_so(name: str) -> None:
    with pytest.raises(InputError, match="expected a fitted"):
        gate(name).score(torch.zeros(2, 4), 0)


def recorded(samples: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Logits of two exits and where they are right: the surer, the likelier."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(2, samples, 4)) * np.array([1.0, 3.0])[:, None, None]
    sure = torch.from_numpy(logits).softmax(2).amax(2).numpy()
    return logits, generator.random(sure.shape) < sure


@pytest.mark.parametrize("sort", [False, True])
def test_a_selector_is_a_logistic_regression_on_log_probabilities(sort: bool) -> None:
    logits, right = recorded()
    found = Gati(sort=sort).fitted(logits, right)
    for index in range(2):
        log_p = torch.from_numpy(logits[index]).log_softmax(1).numpy()
        seen = -np.sort(-log_p, axis=1) if sort else log_p
        seen = (seen - seen.mean(axis=0)) / seen.std(axis=0)
        reference = LogisticRegression(C=1 / (DECAY * len(seen)), tol=1e-10, max_iter=10_000).fit(seen, right[index])
        expected = reference.predict_proba(seen)[:, 1]
        scored = found.score(torch.from_numpy(logits[index]), index).numpy()
        np.testing.assert_allclose(scored, expected, atol=2e-3)


def test_the_jei_statistics_are_those_of_the_definition() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    squared = p**2 / (p**2).sum()
    entropies = [-(q * np.log(q)).sum() / np.log(4) for q in (p, squared)]
    found = statistics(torch.from_numpy(np.log(p))[None])[0].numpy()
    np.testing.assert_allclose(found, [0.5, entropies[0], 0.2, entropies[1]], atol=1e-12)
