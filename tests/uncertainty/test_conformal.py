import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from offramp.errors import InputError
from offramp.uncertainty.conformal import (
    APS,
    CALIBRATIONS,
    ENOUGH,
    Conformal,
    Coverage,
    conformal,
    coverage,
    lac,
    quantile,
)
from tests.uncertainty.made import calibrated, early_exits

RESPLITS = 300


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose inputs are the probabilities that it says."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.classes_ = np.arange(classes)
        self.n_features_in_ = classes

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Given":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return x

    def predict(self, x: np.ndarray) -> np.ndarray:
        answers: np.ndarray = x.argmax(axis=1)
        return answers


def by_mapie(score: str, alpha: float, **asked: object) -> tuple[float, np.ndarray]:
    """The quantile and the sets."""
    (said, truth), (fresh, _) = calibrated(0, 301), calibrated(1, 200)
    mapie = SplitConformalClassifier(Given(10), confidence_level=1 - alpha, conformity_score=score, random_state=5)
    _, sets = mapie.conformalize(said, truth).predict_set(fresh, conformity_score_params=asked)
    return float(mapie._mapie_classifier.quantiles_[0]), sets[:, :, 0]


def drawn() -> np.random.Generator:
    """The numbers that MAPIE draws."""
    return np.random.Generator(np.random.RandomState(5)._bit_generator)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.25, 0.5])
def test_lac_is_that_of_mapie(alpha: float) -> None:
    (said, truth), (fresh, _) = calibrated(0, 301), calibrated(1, 200)
    limit, sets = by_mapie("lac", alpha)
    found = conformal(said, truth, alpha)
    assert found.limit == pytest.approx((limit,))
    np.testing.assert_array_equal(found.sets(fresh), sets)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.25, 0.5])
def test_randomised_aps_is_that_of_mapie(alpha: float) -> None:
    (said, truth), (fresh, _) = calibrated(0, 301), calibrated(1, 200)
    limit, sets = by_mapie("aps", alpha, include_last_label="randomized")
    found = conformal(said, truth, alpha, score=APS(drawn()))
    assert found.limit == pytest.approx((limit,))
    np.testing.assert_array_equal(Conformal(found.limit, APS(drawn())).sets(fresh), sets)


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_aps_without_chance_leaves_the_last_class_out_as_mapie_does(alpha: float) -> None:
    limit, sets = by_mapie("aps", alpha, include_last_label=False)
    found = Conformal((limit,), APS()).sets(calibrated(1, 200)[0])
    filled = found.any(axis=1)  # MAPIE never leaves a set empty here
    assert filled.mean() > 0.4
    np.testing.assert_array_equal(found[filled], sets[filled])


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.integers(0, 50))
def test_the_quantile_is_the_smallest_that_covers_enough(n: int, alpha: float, seed: int) -> None:
    scores = np.random.default_rng(seed).random(n)
    found, needed = quantile(scores, alpha), (n + 1) * (1 - alpha) - 1e-9
    if found == np.inf:
        assert needed > n
        return
    assert (scores <= found).sum() >= needed
    assert (scores < found).sum() < needed


def test_the_quantile_is_that_of_numpy_where_it_exists() -> None:
    for n in (19, 50, 501):
        scores = np.random.default_rng(n).random(n)
        for alpha in (0.05, 0.1, 0.3):
            level = (np.ceil(round((n + 1) * (1 - alpha), 6)) - 0.5) / n  # a little less: it is rounded
            assert quantile(scores, alpha) == np.quantile(scores, level, method="inverted_cdf")


def resplit(calibration: str, alpha: float, n: int, score: object = lac) -> list[Coverage]:
    """Coverage on one half, calibrated on n samples of the other, over and over."""
    probability, target, exit_index = early_exits(7, 6000)
    generator, found = np.random.default_rng(0), []
    for _ in range(RESPLITS):
        order = generator.permutation(6000)
        mine, test = order[:n], order[3000:]
        fitted = conformal(
            probability[:, mine],
            target[mine],
            alpha,
            exit_index[mine],
            calibration=calibration,
            score=score,  # type: ignore[arg-type]
        )
        sets = fitted.sets(probability[:, test], exit_index[test])
        found.append(coverage(sets, target[test], exit_index[test], 3))
    return found


@pytest.mark.parametrize("calibration", ["general", "strict", "gated"])
@pytest.mark.parametrize("score", [lac, APS(np.random.default_rng(3))])
def test_coverage_over_resplits_is_what_was_asked_for(calibration: str, score: object) -> None:
    """J10: the mean over 300 resplits within two standard deviations of it, marginally and, by exit, at each exit."""
    alpha, n = 0.1, 1000
    found = resplit(calibration, alpha, n, score)
    covered = np.array([one.coverage for one in found])
    assert abs(covered.mean() - (1 - alpha)) < min(2 * covered.std(), 0.01)
    by_exit = np.array([one.exit_coverage for one in found])
    if calibration == "general":
        assert np.ptp(by_exit.mean(axis=0)) > 0.05  # one quantile for all covers unevenly
    else:
        np.testing.assert_allclose(by_exit.mean(axis=0), 1 - alpha, atol=0.01)


def test_all_covers_neither_each_exit_nor_the_whole_as_asked() -> None:
    """Its quantiles are of all samples at an exit, and those that leave there are others, who are all sure."""
    found = resplit("all", 0.1, 1000)
    by_exit = np.mean([one.exit_coverage for one in found], axis=0)
    assert np.abs(by_exit - 0.9).max() > 0.02


def test_coverage_is_distributed_as_it_should_be() -> None:
    """Given the calibration it is Beta(k, n + 1 - k), k = ceil((n + 1)(1 - alpha)) (Vovk 2012)."""
    n, alpha = 99, 0.1
    k = 90
    generator = np.random.default_rng(0)
    found = np.array([quantile(generator.random(n), alpha) for _ in range(4000)])  # of uniform scores
    assert found.mean() == pytest.approx(k / (n + 1), abs=0.002)
    assert found.var() == pytest.approx(k * (n + 1 - k) / ((n + 1) ** 2 * (n + 2)), rel=0.08)


def test_strict_gives_up_where_nearly_nobody_leaves_and_gated_does_not() -> None:
    probability, target, exit_index = early_exits(1, 400)
    few = np.flatnonzero(exit_index == 0)[:5]
    chosen = np.concatenate([few, np.flatnonzero(exit_index > 0)])
    given_ = probability[:, chosen], target[chosen], 0.1, exit_index[chosen]
    limits = {kind: conformal(*given_, calibration=kind).limit for kind in CALIBRATIONS}
    assert limits["strict"][0] == np.inf
    assert limits["gated"] == (limits["all"][0], *limits["strict"][1:])
    assert len(set(limits["general"])) == 1
    assert min((exit_index[chosen] == e).sum() for e in (1, 2)) > ENOUGH
    strict = conformal(*given_, calibration="strict")
    assert strict.sets(probability, np.zeros(400, int)).all()


def test_coverage_and_size_by_hand() -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    found = coverage(sets, np.array([0, 2, 0, 1]), np.array([0, 0, 2, 2]), 3)
    assert (found.coverage, found.size, found.count) == (0.5, 1.5, (2, 0, 2))
    assert found.exit_coverage == pytest.approx((0.5, np.nan, 0.5), nan_ok=True)
    assert found.exit_size == pytest.approx((1.5, np.nan, 1.5), nan_ok=True)


def test_the_backbones_class_serves_as_target() -> None:
    """Label-free: sets hold the backbone's answer."""
    probability, _, exit_index = early_exits(2, 4000)
    answer = probability[-1].argmax(axis=1)
    half = np.arange(2000)
    fitted = conformal(probability[:, half], answer[half], 0.1, exit_index[half], calibration="gated")
    sets = fitted.sets(probability[:, 2000:], exit_index[2000:])
    assert coverage(sets, answer[2000:], exit_index[2000:], 3).coverage == pytest.approx(0.9, abs=0.02)


def test_what_makes_no_sense_is_refused() -> None:
    probability, target = calibrated(0, 20)
    for alpha in (0.0, 1.0, np.nan):
        with pytest.raises(InputError, match="alpha as a share"):
            conformal(probability, target, alpha)
    with pytest.raises(InputError, match="exit_index for all but general"):
        conformal(probability, target, 0.1, calibration="strict")
    with pytest.raises(InputError, match="'mine'"):
        conformal(probability[None], target, 0.1, np.zeros(20, int), calibration="mine")
