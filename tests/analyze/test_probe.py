import numpy as np
import pytest
from sklearn.linear_model import Ridge

from offramp.analyze import probe
from offramp.analyze.probe import agrees


def drawn(samples: int, width: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(samples, width)) * generator.uniform(0.1, 50.0, width) + generator.normal(size=width)
    logits = (x - x.mean(0)) / x.std(0) @ generator.normal(size=(width, 4)) + noise * generator.normal(
        size=(samples, 4)
    )
    return x, logits


@pytest.mark.parametrize("strength", [1e-3, 1.0])
@pytest.mark.parametrize("width", [3, 40])
def test_leaving_one_out_is_refitting_without_it(strength: float, width: int) -> None:
    x, logits = drawn(25, width, 1.0)
    x = (x - x.mean(0)) / x.std(0)
    gram, named = x @ x.T, logits.argmax(1)
    targets = np.eye(4)[named] - np.eye(4)[named].mean(0)
    penalty = strength * np.trace(gram) / 25
    found = probe._left_out(gram, targets, strength)
    for one in range(25):
        others = np.arange(25) != one
        model = Ridge(alpha=penalty, fit_intercept=False).fit(x[others], targets[others])
        np.testing.assert_allclose(found[one], model.predict(x[[one]])[0], rtol=1e-6, atol=1e-9)


def test_a_feature_that_says_more_agrees_more() -> None:
    shares = [agrees(*drawn(200, 10, noise)).mean() for noise in (0.0, 5.0, 500.0)]
    assert shares[0] > 0.8
    assert shares[0] > shares[1] > shares[2]
    assert shares[2] < 0.45


def test_a_feature_that_never_varies_is_no_error() -> None:
    x, logits = np.zeros((30, 3)), drawn(30, 4, 0.0)[1]
    assert 0.0 <= agrees(x, logits).mean() <= 1.0
