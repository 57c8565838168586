import numpy as np
import pytest
from benchmarks.regimes.budget import Curve, columns, curve, table, thinned, thresholds
from hypothesis import given
from hypothesis import strategies as st

from offramp.types import CostProfile, ExitTable

COST = CostProfile("macs", np.array([2.0, 6.0, 10.0]), np.array([1.0, 1.0, 0.0]), np.zeros(3))


def recorded(seed: int, samples: int = 60) -> tuple[np.ndarray, np.ndarray, ExitTable]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, samples)
    outputs = generator.normal(size=(3, samples, 4)).astype(np.float32)
    outputs[:, np.arange(samples), labels] += np.array([0.5, 1.0, 2.0], np.float32)[:, None]
    return outputs, labels, table(outputs, labels, COST, "part")


def one_by_one(outputs: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float]:
    """Accuracy and mean cost, sample by sample and exit by exit."""
    right, cost = 0, 0.0
    for sample, label in enumerate(labels):
        for index in range(3):
            logits = outputs[index, sample].astype(np.float64)
            sure = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            if index == 2 or sure.max() >= threshold - 1e-7:
                right += int(logits.argmax() == label)
                cost += [2 + 1, 6 + 2, 10 + 2][index] / 10
                break
    return right / len(labels), cost / len(labels)


@given(st.integers(0, 50))
def test_curves_are_those_of_single_samples(seed: int) -> None:
    outputs, labels, found = recorded(seed, 20)
    tried = thresholds(found.score)
    drawn = curve(found, tried)
    for place in (0, len(tried) // 2, len(tried) - 1):
        assert (drawn.accuracy[place], drawn.cost[place]) == pytest.approx(one_by_one(outputs, labels, tried[place]))
    assert drawn.cost[0] == pytest.approx(0.3)
    assert drawn.cost[-1] == pytest.approx(1.2)
    assert (np.diff(drawn.cost) >= 0).all()


def test_the_last_threshold_before_the_budget_is_exceeded() -> None:
    found = Curve(np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.5, 0.9]))
    assert [found.within(budget) for budget in (0.2, 0.3, 0.6, 1.0)] == [None, 0, 1, 2]


def test_columns_are_told_on_the_part_that_did_not_choose() -> None:
    outputs, labels, test = recorded(1)
    _, _, choose = recorded(2)
    found = columns(choose, test, (0.2, 0.5, 1.0))
    assert found["20"] == {"chosen": None, "read off": None}
    tried = thresholds(choose.score)
    seen = curve(choose, tried)
    place = max(index for index in range(len(tried)) if seen.cost[index] <= 0.5)
    assert found["50"]["chosen"] == pytest.approx(one_by_one(outputs, labels, tried[place]))
    read = found["50"]["read off"]
    assert read is not None
    assert read[1] <= 0.5
    best = found["max"]["read off"]
    assert best is not None
    assert best[0] == pytest.approx(curve(test, thresholds(test.score)).accuracy.max())


def test_a_thinned_curve_keeps_its_ends() -> None:
    _, _, found = recorded(3)
    drawn = curve(found, thresholds(found.score))
    kept = thinned(drawn, 5)
    assert len(kept) == 5
    assert kept[0] == [drawn.cost[0], drawn.accuracy[0]]
    assert kept[-1] == [drawn.cost[-1], drawn.accuracy[-1]]
