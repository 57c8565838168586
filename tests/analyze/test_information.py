import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp

from offramp.analyze.information import Information, beyond_noise, information, squared_distances
from offramp.errors import DataError, InputError

GENERATOR = 3


def gaussian(samples: int, deviations: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.random.default_rng(GENERATOR).normal(size=(samples, len(deviations))) * deviations
    return found


def one(features: np.ndarray, answers: np.ndarray, noise: float) -> Information:
    (found,) = information(features, np.atleast_2d(answers), [noise])
    return found


def expected_bound(deviations: np.ndarray, a: float) -> float:
    """-E ln E' exp(-|x - x'|² / 2a) of x, x' ~ N(0, diag(deviations²)), in closed form: a Gaussian integral, twice."""
    v = deviations**2
    return float((0.5 * np.log((a + v) / a) + 0.5 * v / (a + v)).sum())


@pytest.mark.parametrize("deviations", [np.array([1.0]), np.array([2.0, 0.5, 1.0])])
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_bounds_of_gaussian_inputs_are_their_closed_forms_and_hold_the_information(
    deviations: np.ndarray, noise: float
) -> None:
    """Of X ~ N(0, S) and Z' = X + N(0, s² I) the information is ½ ln det(I + S / s²)."""
    x = gaussian(4000, deviations)
    found = one(x, np.zeros(4000, np.int64), noise)
    s = noise * np.sqrt((deviations**2).sum())
    true = 0.5 * np.log1p(deviations**2 / s**2).sum()
    lower, upper = found.inputs
    assert found.deviation == pytest.approx(s, rel=0.03)
    assert lower == pytest.approx(expected_bound(deviations, 4 * s**2), rel=0.03, abs=0.01)
    assert upper == pytest.approx(expected_bound(deviations, s**2), rel=0.03, abs=0.01)
    assert lower < true < upper


def test_bounds_hold_the_entropy_of_a_mixture_as_integrated() -> None:
    centres, s = np.array([-2.0, -0.4, 0.5, 3.0]), 0.7

    def minus_density_log(z: float) -> float:
        log = logsumexp(-((z - centres) ** 2) / (2 * s**2)) - np.log(len(centres) * s * np.sqrt(2 * np.pi))
        return float(-np.exp(log) * log)

    entropy = quad(minus_density_log, -12, 12)[0] - 0.5 * np.log(2 * np.pi * np.e * s**2)
    lower, upper = beyond_noise(squared_distances(centres[:, None]), s)
    assert lower < entropy < upper


def test_answers_of_a_gaussian_channel_lie_between_their_bounds() -> None:
    """Two classes at ±1 with noise: I(Z';Y) = h(Z') - h(noise), by integration."""
    noise, samples = 0.8, 600
    z = np.repeat([-1.0, 1.0], samples // 2)[:, None]
    found = one(z, (z[:, 0] > 0).astype(np.int64), noise)
    s = found.deviation

    def minus_density_log(x: float) -> float:
        log = logsumexp([-((x - c) ** 2) / (2 * s**2) for c in (-1, 1)]) - np.log(2 * s * np.sqrt(2 * np.pi))
        return float(-np.exp(log) * log)

    true = quad(minus_density_log, -12, 12)[0] - 0.5 * np.log(2 * np.pi * np.e * s**2)
    assert found.answers[0] < true < found.answers[1]
    assert found.answers == pytest.approx(found.inputs)  # nothing else is in Z
    assert found.answers_alike == pytest.approx(found.answers)
    assert found.entropy == pytest.approx(np.log(2))


def test_answers_that_have_nothing_to_do_with_the_features_are_not_known() -> None:
    x = gaussian(2000, np.ones(2))
    found = one(x, np.random.default_rng(1).integers(0, 2, 2000), 1.0)
    assert found.answers[0] == 0.0
    assert max(found.answers_alike) < 0.01


def test_far_samples_say_all_there_is_and_several_columns_are_averaged() -> None:
    x = np.arange(12.0)[:, None] * 1e3
    two, three = np.arange(12) % 2, np.arange(12) % 3
    (found,) = information(x, np.stack([two, three]), [1e-3])
    assert found.inputs == pytest.approx((np.log(12),) * 2)
    assert found.most == pytest.approx(np.log(12))
    assert found.answers == pytest.approx(((np.log(2) + np.log(3)) / 2,) * 2)
    assert found.entropy == pytest.approx((np.log(2) + np.log(3)) / 2)


def test_nothing_depends_on_scale_or_place() -> None:
    x, y = gaussian(100, np.ones(3)), np.arange(100) % 4
    here, there = one(x, y, 0.5), one(1e3 * x + 1e5, y, 0.5)
    assert there.inputs == pytest.approx(here.inputs, rel=1e-6)
    assert there.answers_alike == pytest.approx(here.answers_alike, rel=1e-6)
    assert there.deviation == pytest.approx(1e3 * here.deviation)


def test_more_noise_leaves_less() -> None:
    found = information(gaussian(200, np.ones(5)), np.zeros((1, 200), np.int64), [0.1, 0.4, 1.6])
    assert found[0].inputs[0] > found[1].inputs[0] > found[2].inputs[0]


@pytest.mark.parametrize(
    ("features", "answers", "noises", "error"),
    [
        (np.zeros((1, 2)), np.zeros((1, 1), np.int64), [0.1], DataError),
        (np.ones((4, 2)), np.zeros((1, 4), np.int64), [0.1], DataError),
        (np.array([[np.inf], [0.0]]), np.zeros((1, 2), np.int64), [0.1], DataError),
        (np.eye(3), np.zeros((1, 2), np.int64), [0.1], DataError),
        (np.eye(3), np.zeros((1, 3), np.int64), [0.0], InputError),
        (np.eye(3), np.zeros((1, 3), np.int64), [], InputError),
    ],
)
def test_what_cannot_be_measured_is_refused(
    features: np.ndarray, answers: np.ndarray, noises: list[float], error: type[Exception]
) -> None:
    with pytest.raises(error, match="expected"):
        information(features, answers, noises)
