import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from offramp.calibrate.isotonic import APART, BINS, GAP, LEAST, TILT, WIDTH, Isotonic
from offramp.calibrate.temperature import Temperature, negative_log_likelihood
from offramp.errors import DataError
from offramp.uncertainty.calibration_error import calibration_error
from tests.calibrate.test_temperature import sample
from tests.tables import _random_untouched


def softmax(logits: np.ndarray) -> np.ndarray:
    wide = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: np.ndarray = wide / wide.sum(axis=1, keepdims=True)
    return found


def odds_of(logits: np.ndarray) -> np.ndarray:
    ranked = torch.from_numpy(np.sort(logits.astype(np.float64), axis=1))
    found: np.ndarray = (ranked[:, -1] - ranked[:, :-1].logsumexp(1)).numpy()
    return found


def levels(seed: int, count: int = 12, each: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two classes with few confidences, targets, and the level of each sample."""
    generator = np.random.default_rng(seed)
    level = np.repeat(np.arange(count), each)
    odds = np.linspace(0.2, 5.0, count)[level]
    right = generator.random(len(level)) < 0.45 + 0.5 * level / count
    return np.stack([odds, np.zeros_like(odds)], axis=1), np.where(right, 0, 1), level


@pytest.mark.parametrize("seed", range(8))
def test_knots_are_the_blocks_of_scikit_learn(seed: int) -> None:
    logits, target, _ = levels(seed)
    found = Isotonic().fit(logits, target)
    right = (target == 0).astype(float)
    odds = logits[:, 0]
    reference = IsotonicRegression().fit(
        np.append(odds, [odds.min(), odds.max()]),
        np.append(right, [1.0, 0.0]),
        sample_weight=np.append(np.ones(len(odds)), [0.5, 0.5]),
    )
    predicted = reference.predict(np.unique(odds))
    expected = np.unique(predicted.round(9))
    np.testing.assert_allclose(found.probability, expected, atol=1e-6)
    for knot, value in zip(found.odds, expected, strict=True):
        inside = np.abs(predicted - value) < 1e-6
        assert np.unique(odds)[inside].min() - 1e-9 <= knot <= np.unique(odds)[inside].max() + 1e-9


def test_pooling_is_the_min_max_formula() -> None:
    """f_i = max over j <= i of min over k >= i of the mean of j..k (Barlow et al. 1972)."""
    logits, target, level = levels(5)
    weight, good = np.bincount(level).astype(float), np.bincount(level, target == 0)
    good[0] += 0.5
    weight[[0, -1]] += 0.5
    mean = [[good[j : max(j, k) + 1].sum() / weight[j : max(j, k) + 1].sum() for k in range(12)] for j in range(12)]
    expected = [max(min(mean[j][k] for k in range(i, 12)) for j in range(i + 1)) for i in range(12)]
    np.testing.assert_allclose(Isotonic().fit(logits, target).probability, np.unique(np.round(expected, 12)), atol=1e-9)


def fitted_probability(calibrator: Isotonic, odds: np.ndarray) -> np.ndarray:
    """What the top class should get, where it may."""
    step = np.interp(odds, calibrator.odds, calibrator.probability)
    found: np.ndarray = (1 - TILT) * step + TILT / (1 + np.exp(-odds / WIDTH))
    return found


@st.composite
def calibrators(draw: st.DrawFn) -> Isotonic:
    count = draw(st.integers(1, 8))
    steps = draw(st.lists(st.floats(APART, 4.0), min_size=count, max_size=count))
    values = draw(st.lists(st.floats(0.02, 0.998), min_size=count, max_size=count, unique=True))
    with _random_untouched():
        return Isotonic(tuple((np.cumsum(steps) - 2.0).tolist()), tuple(sorted(values)))


@settings(max_examples=60)
@given(calibrators(), st.integers(0, 1000), st.sampled_from([2, 3, 10]), st.floats(0.1, 30.0))
def test_keeps_class_order_and_proportions(calibrator: Isotonic, seed: int, classes: int, scale: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(200, classes)) * scale
    found = calibrator(logits)
    top = logits.argmax(axis=1)
    np.testing.assert_array_equal(found.argmax(axis=1), top)
    others = np.ones(logits.shape, bool)
    others[np.arange(200), top] = False
    np.testing.assert_array_equal(found[others], logits[others])  # so their proportions are what they were
    second = np.sort(logits, axis=1)[:, -2]
    free = found[np.arange(200), top] > second + GAP * 1.001
    odds, said = odds_of(logits), softmax(found).max(axis=1)
    free &= odds < 30  # where odds are more than rounding
    np.testing.assert_allclose(said[free], fitted_probability(calibrator, odds)[free], rtol=1e-9)
    order = np.argsort(odds[free], kind="stable")
    apart = np.diff(odds[free][order]) > 1e-6
    assert (np.diff(said[free][order])[apart] > 0).all()


@settings(max_examples=40)
@given(calibrators(), st.integers(0, 1000), st.sampled_from([2, 10]), st.floats(0.1, 30.0))
def test_single_precision_and_torch_say_the_same(calibrator: Isotonic, seed: int, classes: int, scale: float) -> None:
    logits = (np.random.default_rng(seed).normal(size=(100, classes)) * scale).astype(np.float32)
    said = calibrator(torch.from_numpy(logits)).numpy()
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, calibrator(logits), rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(said.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(softmax(said), softmax(calibrator(logits.astype(np.float64))), atol=1e-4)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_extreme_logits_stay_finite_and_keep_their_class(kind: object) -> None:
    fitted = Isotonic((-1.0, 2.0, 6.0), (0.3, 0.7, 0.99))
    logits = np.array([[1e4, 0, -1e4], [0, 0, 0], [-1e4, -1e4, 1e4], [80, 79.99, -80]], np.float32)
    found = np.asarray(fitted(kind(logits)))  # type: ignore[operator]
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def distorted(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose overconfidence grows with confidence, which no temperature mends."""
    logits, target = sample(seed, 1.0, n=n)
    return logits * (1.0 + np.ptp(logits, axis=1, keepdims=True) / 3), target


def test_mends_on_other_samples_what_a_temperature_cannot() -> None:
    """As well as scikit-learn's regression of all samples does, whose answer is a confidence and no logits."""
    (logits, target), (fresh, truth) = distorted(0, 20_000), distorted(1, 20_000)
    plain, temperature, mine = (
        calibration_error(softmax(fitted(fresh)), truth).expected
        for fitted in (Isotonic(), Temperature().fit(logits, target), Isotonic().fit(logits, target))
    )
    assert mine < 0.016 < 0.03 < temperature < 0.04 < 0.17 < plain
    regression = IsotonicRegression(out_of_bounds="clip")
    regression.fit(softmax(logits).max(axis=1), logits.argmax(axis=1) == target)
    said = regression.predict(softmax(fresh).max(axis=1))
    right = (fresh.argmax(axis=1) == truth).astype(int)
    other = _binary_error(said, right)
    assert mine == pytest.approx(other, abs=0.002)


def _binary_error(said: np.ndarray, right: np.ndarray) -> float:
    """ECE of a probability of being right, in 15 bins of equal mass."""
    groups = np.array_split(np.argsort(said, kind="stable"), 15)
    return sum(len(one) * abs(float(said[one].mean() - right[one].mean())) for one in groups) / len(said)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.05, 20.0), st.sampled_from([1, 5, 50, 500]), st.sampled_from([2, 5, 40]))
def test_the_target_never_becomes_less_likely(seed: int, scale: float, n: int, classes: int) -> None:
    logits, target = sample(seed, scale, classes, n)
    after = negative_log_likelihood(Isotonic().fit(logits, target)(logits), target)
    assert after <= negative_log_likelihood(logits, target)


def test_steps_are_not_between_single_samples() -> None:
    found = Isotonic().fit(*sample(0, 4.0, n=5000))
    assert 3 < len(found.odds) <= BINS
    assert (np.diff(found.odds) >= APART).all()
    assert len(Isotonic().fit(*sample(0, 4.0, n=3 * LEAST)).odds) <= 3


def test_an_exit_that_is_always_right_keeps_its_scores_apart() -> None:
    logits = np.stack([np.linspace(0.5, 12.0, 60), np.zeros(60)], axis=1)
    found = Isotonic().fit(logits * 0.3, np.zeros(60, dtype=int))
    scores = softmax(found(logits * 0.3)).max(axis=1)
    assert (np.diff(scores) > 0).all()
    assert 0.98 < scores[0] < scores[-1] < 1


def test_before_fitting_and_with_one_class_nothing_is_changed() -> None:
    logits = np.array([[1.0, 2.0]])
    assert Isotonic()(logits) is logits
    one = np.ones((5, 1))
    assert Isotonic().fit(one, np.zeros(5, dtype=int))(one) is one


def test_refuses_what_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="finite logits and at least one target"):
        Isotonic().fit(np.array([[np.inf, 0.0]]), np.array([0]))
