import numpy as np
import pytest
import torch

from offramp.analyze import ridge
from offramp.analyze.ridge import STRENGTHS, centred_log_probabilities, left_out


def drawn(samples: int, views: int, width: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((samples * views, width)) * generator.uniform(0.5, 3.0, width) + 1.0
    y = x @ generator.standard_normal((width, classes)) + 0.5 * generator.standard_normal((len(x), classes))
    return x, y


def by_lstsq(x: np.ndarray, y: np.ndarray, samples: int, seed: int, seen: int) -> list[np.ndarray]:
    """For each penalty the answers of ridge regressions by least squares on penalty rows, fitted anew for each fold."""
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    target = y - y.mean(axis=1, keepdims=True)
    fold = np.tile(np.random.default_rng(seed).permutation(samples) % ridge.FOLDS, len(x) // samples)
    found = []
    for strength in STRENGTHS:
        said = np.empty((samples, y.shape[1]))
        for k in range(ridge.FOLDS):
            mine, rest = np.flatnonzero(fold[:samples] == k), np.isin((fold - k - 1) % ridge.FOLDS, np.arange(seen))
            mean_x, mean_y = scaled[rest].mean(axis=0), target[rest].mean(axis=0)
            gram = (scaled[rest] - mean_x).T @ (scaled[rest] - mean_x)
            root = np.sqrt(strength * np.trace(gram) / len(gram))
            rows = np.vstack([scaled[rest] - mean_x, root * np.eye(x.shape[1])])
            aims = np.vstack([target[rest] - mean_y, np.zeros((x.shape[1], y.shape[1]))])
            weight = np.linalg.lstsq(rows, aims, rcond=None)[0]
            said[mine] = (scaled[mine] - mean_x) @ weight + mean_y
        found.append(said)
    return found


@pytest.mark.parametrize("views", [1, 3])
def test_it_says_what_a_fit_to_the_other_folds_says(views: int) -> None:
    x, y = drawn(41, views, 5, 3)
    named = y[:41].argmax(axis=1)
    for found, seen in zip(left_out(x, y, 41, seed=2, seen=(1, 3)), (1, 3), strict=True):
        slow = by_lstsq(x, y, 41, 2, seen)
        best = max(slow, key=lambda said: (said.argmax(axis=1) == named).mean())
        torch.testing.assert_close(found, best, rtol=1e-4, atol=1e-4)


def test_noise_is_not_predicted() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((400, 300)), generator.standard_normal((400, 4))
    agree = (left_out(x, y, 400)[0].argmax(axis=1) == y.argmax(axis=1)).mean()
    assert 0.15 < agree < 0.35  # a probe that saw its own samples would name nearly all


def test_a_feature_that_is_always_the_same_does_no_harm() -> None:
    x, y = drawn(60, 1, 4, 3)
    torch.testing.assert_close(
        left_out(np.hstack([x, np.ones((60, 2))]), y, 60), left_out(x, y, 60), rtol=0.2, atol=0.2
    )


def test_wide_features_are_projected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "WIDEST", 64)
    x, y = drawn(300, 1, 8, 3)
    wide = x @ np.linalg.qr(np.random.default_rng(1).standard_normal((500, 8)))[0].T
    assert (left_out(wide, y, 300)[0].argmax(axis=1) == y.argmax(axis=1)).mean() > 0.8


def test_log_probabilities_are_centred_logits() -> None:
    logits = np.random.default_rng(0).standard_normal((5, 4))
    log = torch.from_numpy(logits).log_softmax(dim=1)
    torch.testing.assert_close(torch.from_numpy(centred_log_probabilities(logits)), log - log.mean(dim=1, keepdim=True))
