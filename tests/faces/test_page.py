import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faces.page import least_provable, page, samples_for
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta


@given(st.integers(1, 2000), st.sampled_from([0.01, 0.07, 0.1]))
def test_the_least_provable_is_clopper_and_pearsons_bound_at_no_loss(samples: int, delta: float) -> None:
    assert least_provable(samples, delta) == pytest.approx(beta.ppf(1 - delta, 1, samples))


@given(st.floats(0.005, 0.5), st.sampled_from([0.01, 0.07, 0.1]))
def test_so_many_samples_are_enough_and_one_fewer_is_not(epsilon: float, delta: float) -> None:
    samples = samples_for(epsilon, delta)
    assert least_provable(samples, delta) <= epsilon * (1 + 1e-9)
    assert samples == 1 or least_provable(samples - 1, delta) > epsilon * (1 - 1e-9)


def test_twenty_eight_pictures_prove_eight_percent() -> None:
    losses = np.random.default_rng(0).random((20000, 28)) < least_provable(28, 0.1)
    assert (~losses.any(axis=1)).mean() == pytest.approx(0.1, abs=0.01)


def test_the_page_of_the_docs_is_that_of_the_result() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "faces.md").read_text() == page(json.loads((docs / "results" / "faces.json").read_text()))
