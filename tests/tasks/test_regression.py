import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from offramp.errors import DataError, InputError
from offramp.tasks import task
from offramp.tasks.regression import Regression


def drawn(seed: int, samples: int, values: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs of two exits, of the backbone, and labels: multiples of a half, so that distances tie with tolerances."""
    generator = np.random.default_rng(seed)
    outputs = generator.integers(-4, 5, (2, samples, 2 * values)) / 2.0
    reference = generator.integers(-4, 5, (samples, 2 * values)) / 2.0
    return outputs, reference, generator.integers(-4, 5, (samples, values)) / 2.0


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 3))
def test_losses_are_those_of_the_definition(seed: int, samples: int, values: int) -> None:
    outputs, reference, truth = drawn(seed, samples, values)
    tolerance = (0.5, 1.0, 2.0)[:values]
    one = Regression(tolerance)
    differs, wrong = one.disagreement(outputs, reference), one.error(outputs, truth)
    for e in range(2):
        for n in range(samples):
            far = [abs(outputs[e, n, k] - reference[n, k]) > tolerance[k] for k in range(values)]
            off = [abs(outputs[e, n, k] - truth[n, k]) > tolerance[k] for k in range(values)]
            assert differs[e, n] == float(any(far))
            assert wrong[e, n] == float(any(off))


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 3))
def test_figures_are_those_of_scikit_learn(seed: int, samples: int, values: int) -> None:
    outputs, reference, truth = drawn(seed, samples, values)
    truth[0], truth[1] = -5.0, 5.0  # they vary
    found = Regression((1.0,)).measures(outputs[0], reference, truth)
    said, other = outputs[0][:, :values], reference[:, :values]
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, said))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, said))
    assert found["r2"] == pytest.approx(r2_score(truth, said))
    assert found["mae_to_model"] == pytest.approx(mean_absolute_error(other, said))
    assert found["largest_to_model"] == pytest.approx(np.abs(other - said).max())
    assert list(Regression().measures(outputs[0], reference, None)) == ["mae_to_model", "largest_to_model"]


def test_labels_that_do_not_vary_explain_nothing() -> None:
    output = np.zeros((3, 2))
    assert np.isnan(Regression().measures(output, output, np.ones((3, 1)))["r2"])


def test_one_value_is_a_number_and_several_are_a_row() -> None:
    output = np.array([[3.0, 0.0], [4.0, np.log(2.0)]], np.float32)
    assert Regression().predict(output).tolist() == [3.0, 4.0]
    told = Regression().told(output)
    assert told["value"].tolist() == [3.0, 4.0]
    np.testing.assert_allclose(told["spread"], [1.0, 2.0])
    two = Regression().told(np.zeros((5, 4), np.float32))
    assert two["value"].shape == two["spread"].shape == (5, 2)
    assert {value.dtype for value in two.values()} == {np.dtype(np.float32)}


def test_tolerances_that_are_not_said_follow_from_the_model() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 2)) * np.array([1e5, 1e-4]) + 7.0
    output = np.hstack([values, np.full((4000, 2), -60.0)])
    found = Regression().settled(output)
    assert found.tolerance == pytest.approx([1e4, 1e-5], rel=0.05)
    assert task(found.name) == found, "the name says all of it"
    assert found.settled(output) is found
    assert Regression((0.5,)).settled(output) == Regression((0.5, 0.5))
    with pytest.raises(InputError, match="expected one tolerance, or 2, one for each value of the model, got 3"):
        Regression((1.0, 1.0, 1.0)).settled(output)
    with pytest.raises(InputError, match="expected values of the model that differ between samples"):
        Regression().settled(np.zeros((5, 2)))
    with pytest.raises(InputError, match="expected a task with tolerances"):
        Regression().disagreement(output[None], output)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("regression:0", "expected tolerances above 0 for the task regression, got 0.0"),
        ("regression:0.5,-1", "expected tolerances above 0 .* got 0.5,-1.0"),
        ("regression:nan", "expected tolerances above 0 .* got nan"),
        ("regression:inf", "expected tolerances above 0 .* got inf"),
        ("regression:", "expected tolerances such as regression:0.5 or regression:0.5,2, got regression:$"),
        ("regression:near", "expected tolerances such as .* got regression:near"),
        ("regression:0.5;2", "expected tolerances such as .* got regression:0.5;2"),
    ],
)
def test_settings_that_are_no_tolerances_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        task(name)


def test_labels_of_one_value_may_be_a_column() -> None:
    assert Regression().checked(np.array([1, 2]), 2).tolist() == [[1.0], [2.0]]
    assert Regression().checked(np.array([[1.5], [2.0]]), 2).tolist() == [[1.5], [2.0]]


@pytest.mark.parametrize(
    ("labels", "outputs", "message"),
    [
        ([[0.0, 1.0]], 2, r"expected one number as the label of each sample, got labels of shape \(1, 2\)"),
        ([0.0, 1.0], 4, r"expected a row of 2 numbers as the label of each sample, got labels of shape \(2,\)"),
        ([0.0, float("nan")], 2, "expected finite labels for the task regression, got NaN or infinity"),
        ([0.0, float("inf")], 2, "expected finite labels"),
    ],
)
def test_other_labels_are_refused(labels: list[float], outputs: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Regression().checked(np.array(labels), outputs)
