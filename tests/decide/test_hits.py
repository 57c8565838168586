import dataclasses

import numpy as np
import pytest

from offramp.decide.hits import hit_curves
from offramp.testing.searchers import random_table
from offramp.types import ExitTable


@pytest.mark.parametrize("levels", [None, 7])
@pytest.mark.parametrize("seed", range(3))
def test_curves_are_what_counting_sample_by_sample_finds(seed: int, levels: int | None) -> None:
    table = random_table(seed=seed, samples=80, levels=levels)
    error = random_table(seed=seed + 10, samples=80, risk="error").loss
    for exit_, curve in enumerate(hit_curves(table, error)):
        assert curve.accuracy is not None
        assert curve.effect is not None
        for at in range(len(curve.threshold)):
            hits = [n for n in range(80) if table.score[exit_, n] >= curve.threshold[at]]
            assert curve.hit_rate[at] == pytest.approx(len(hits) / 80)
            lost = sum(error[exit_, n] > error[-1, n] for n in hits) - sum(error[exit_, n] < error[-1, n] for n in hits)
            assert curve.effect[at] == pytest.approx(lost / 80)
            assert curve.bound[at] == pytest.approx(sum(table.loss[exit_, n] for n in hits) / 80)
            if hits:
                assert curve.agreement[at] == pytest.approx(1 - np.mean([table.loss[exit_, n] for n in hits]))
                assert curve.accuracy[at] == pytest.approx(1 - np.mean([error[exit_, n] for n in hits]))
            else:
                assert np.isnan([curve.agreement[at], curve.accuracy[at]]).all()


def test_the_effect_is_never_more_than_its_bound() -> None:
    """Eq. 2 is at most eq. 3 where both are of the same answers: made of classes, as real ones are."""
    rng = np.random.default_rng(0)
    answer = rng.integers(0, 3, (4, 500))
    label = rng.integers(0, 3, 500)
    table = dataclasses.replace(
        random_table(seed=1, samples=500), loss=(answer != answer[-1]).astype(float), score=rng.random((4, 500))
    )
    for curve in hit_curves(table, (answer != label).astype(float)):
        assert curve.effect is not None
        assert (curve.effect <= curve.bound + 1e-12).all()


def test_the_bound_is_the_hit_rate_times_the_share_that_disagrees() -> None:
    for curve in hit_curves(random_table(seed=2)):
        assert curve.accuracy is None
        assert curve.effect is None
        some = curve.hit_rate > 0
        np.testing.assert_allclose(curve.bound[some], (curve.hit_rate * (1 - curve.agreement))[some], atol=1e-12)


def test_what_the_user_s_model_got_wrong_is_held_against_a_trained_backbone() -> None:
    table = random_table(seed=3, samples=50)
    error, plain = np.ones((4, 50)), np.zeros(50)
    effect = hit_curves(table, error, plain)[0].effect
    assert effect is not None
    assert effect[0] == 1.0  # all leave, all are wrong, and the user's model was right


def test_scores_that_add_up_are_counted_as_they_decide() -> None:
    score = np.array([[0.3], [0.3], [0.3], [0.0]])
    like = random_table(seed=0, samples=1)
    table = ExitTable(score, np.zeros((4, 1)), like.cost, "x", rule="accumulate")
    assert [float(curve.threshold[-1]) for curve in hit_curves(table)] == pytest.approx([0.6, 0.9, 1.2])
