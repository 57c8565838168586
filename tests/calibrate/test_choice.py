"""Which calibrator is better where, as the how-to page says."""

import numpy as np
import pytest

from offramp.calibrate.isotonic import Isotonic
from offramp.calibrate.temperature import Temperature
from offramp.uncertainty.calibration_error import calibration_error
from tests.calibrate.test_isotonic import distorted, softmax
from tests.calibrate.test_temperature import sample


@pytest.mark.parametrize("n", [300, 3000])
def test_isotonic_mends_distortions_and_a_temperature_mends_scales(n: int) -> None:
    """Mean error on 20,000 other samples, over ten sets of n."""
    error = {}
    for name, draw in (("distorted", distorted), ("scaled", lambda seed, n: sample(seed, 2.0, n=n))):
        fresh, truth = draw(99, 20_000)
        found = []
        for seed in range(10):
            logits, target = draw(seed, n)
            fitted = Temperature().fit(logits, target), Isotonic().fit(logits, target)
            found.append([calibration_error(softmax(each(fresh)), truth).expected for each in fitted])
        error[name] = np.mean(found, axis=0)
    temperature, isotonic = error["distorted"]
    assert isotonic < temperature - 0.005
    temperature, isotonic = error["scaled"]
    assert temperature < isotonic < 0.04
