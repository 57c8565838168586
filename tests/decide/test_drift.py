import math

import numpy as np
import pytest

from offramp.decide.drift import DriftTest
from offramp.errors import InputError


def audited(rng: np.random.Generator, risk: float, share: float, samples: int) -> np.ndarray:
    """What an audit sees of a stream: 1/share for a sample that was drawn and disagreed."""
    return (rng.random(samples) < risk) * (rng.random(samples) < share) / share


def test_false_alarms_are_as_rare_as_promised_however_long_one_looks() -> None:
    test = DriftTest(0.01, alpha=0.1, largest=20.0, window=2_000)
    rng = np.random.default_rng(0)
    alarms = [test.step(test.start(), audited(rng, 0.01, 0.05, 20_000)).alarm is not None for _ in range(300)]
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize("clean", [0, 5_000, 40_000])
def test_a_drift_is_found_however_late_it_comes(clean: int) -> None:
    test, late = DriftTest(0.01, alpha=0.01, largest=20.0, window=2_000), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before = test.step(test.start(), audited(rng, 0.005, 0.05, clean))
        assert before.alarm is None
        found = test.step(before, audited(rng, 0.15, 0.05, 6_000)).alarm
        assert found is not None
        late.append(found - clean)
    assert max(late) < 5_000


@pytest.mark.parametrize(("times", "within"), [(1.5, 1_500_000), (2.0, 400_000), (5.0, 60_000)])
@pytest.mark.parametrize("clean", [0, 300_000])
def test_slow_drifts_are_found_with_the_settings_of_a_server(times: float, within: int, clean: int) -> None:
    test, rng = DriftTest(0.01, largest=50.0), np.random.default_rng(3)
    evidence = test.step(test.start(), audited(rng, 0.005, 0.02, clean))
    assert evidence.alarm is None
    found = test.step(evidence, audited(rng, 0.01 * times, 0.02, within))
    assert found.alarm is not None
    assert len(found.player) <= test.players
    assert found.player[0] == 1


def test_evidence_does_not_depend_on_how_the_stream_is_cut() -> None:
    test = DriftTest(0.05, largest=10.0, window=70, players=4)
    values = audited(np.random.default_rng(1), 0.1, 0.1, 1_000)
    whole, pieces = test.step(test.start(), values), test.start()
    for start in range(0, 1_000, 37):
        pieces = test.step(pieces, values[start : start + 37])
    np.testing.assert_allclose(pieces.capital, whole.capital)
    assert (pieces.player == whole.player).all()
    assert (pieces.seen, pieces.alarm) == (whole.seen, whole.alarm)
    assert pieces.mean == pytest.approx(values.mean()) == whole.mean


def test_capital_is_the_product_of_the_bets() -> None:
    """Against the definition, one value after the other."""
    test = DriftTest(0.2, alpha=0.5, largest=1.0, window=1_000)
    values = np.array([0.0, 1.0, 0.3, 1.0, 1.0, 0.0])
    stakes = [1.0] * len(test.stakes)
    first = None
    for number, value in enumerate(values, 1):
        stakes = [stake * (1 + bet * (value - 0.2)) for stake, bet in zip(stakes, test.stakes, strict=True)]
        if first is None and np.mean(stakes) >= math.pi**2 / (6 * 0.5):
            first = number
    found = test.step(test.start(), values)
    np.testing.assert_allclose(np.exp(found.capital[0]), stakes)
    assert found.alarm == first is not None


@pytest.mark.parametrize("values", [[-0.1], [1.1], [math.nan]])
def test_values_that_no_bet_was_made_for_are_refused(values: list[float]) -> None:
    test = DriftTest(0.1)
    with pytest.raises(InputError, match="between 0 and 1"):
        test.step(test.start(), values)


@pytest.mark.parametrize(
    "wrong", [{"level": 0.0}, {"level": 1.0}, {"level": 0.1, "alpha": 0.0}, {"level": 0.1, "window": 0}]
)
def test_a_test_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        DriftTest(**wrong)  # type: ignore[arg-type]
