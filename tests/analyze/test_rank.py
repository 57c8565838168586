import numpy as np
import pytest

from offramp.analyze.rank import ranks, spectrum
from offramp.errors import DataError


def white(samples: int, axes: int, seed: int = 0) -> np.ndarray:
    """Centred columns that are orthogonal and of one length."""
    drawn = np.random.default_rng(seed).normal(size=(samples, axes))
    return np.linalg.qr(drawn - drawn.mean(axis=0))[0]


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_equal_variances_on_orthogonal_axes_have_all_ranks_equal_to_the_number_of_axes(rank: int) -> None:
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(32, rank)))[0]
    found = ranks((white(200, rank) @ axes.T).astype(np.float32))
    assert (found.numerical, found.counted, found.samples, found.width) == (rank, rank, 200, 32)
    assert found.effective == pytest.approx(rank, rel=1e-4)


def test_an_uneven_spectrum_has_a_lower_effective_rank() -> None:
    found = ranks(white(500, 2) * np.array([3.0, 1.0]))
    assert found.numerical == found.counted == 2
    assert found.effective == pytest.approx(np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1))), rel=1e-9)


def test_each_tolerance_is_where_it_is_said_to_be() -> None:
    """Variances of 1, 2e-3, 5e-4 and 1e-9 times the largest: above, above, below a thousandth; the last below eps."""
    found = ranks(white(300, 4) * np.sqrt([1.0, 2e-3, 5e-4, 1e-9]))
    assert (found.numerical, found.counted) == (3, 2)


@pytest.mark.parametrize(("samples", "width"), [(40, 8), (8, 40)])
def test_singular_values_are_those_of_the_covariance(samples: int, width: int) -> None:
    x = np.random.default_rng(2).normal(size=(samples, width)) + 5.0
    expected = np.linalg.svd(np.cov(x.T), compute_uv=False)
    np.testing.assert_allclose(spectrum(x), expected[: min(samples, width)], atol=1e-12)
    assert ranks(x).numerical == np.linalg.matrix_rank(np.cov(x.T)) == min(samples - 1, width)


def test_features_that_never_change_have_no_rank() -> None:
    found = ranks(np.full((5, 3), 2.5))
    assert (found.numerical, found.counted, found.effective) == (0, 0, 0.0)


@pytest.mark.parametrize("features", [np.zeros((1, 3)), np.zeros((4, 0)), np.array([[1.0], [np.nan]])])
def test_what_has_no_covariance_is_refused(features: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected"):
        ranks(features)
