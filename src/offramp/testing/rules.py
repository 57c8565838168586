"""The tests every rule has to pass.

A rule's test file is `class TestMine(RuleSuite)` with one fixture `rule`.
"""

import numpy as np

from offramp.decide.rule import Memory, Rule


def _scores(exits: int = 4, samples: int = 7) -> np.ndarray:
    """Scores in [0, 1) of several exits, some of them equal to those of the exit before."""
    scores = np.random.default_rng(samples).random((exits, samples)).round(1)
    scores[1, ::2] = scores[0, ::2]
    return scores


def _run(rule: Rule, scores: np.ndarray) -> np.ndarray:
    memory, found = rule.start(scores.shape[1]), []
    for score in scores:
        decisive, memory = rule.step(score, memory)
        found.append(decisive)
    return np.stack(found)


class RuleSuite:
    """What holds for every rule; subclass it and give the fixture `rule`."""

    def test_one_finite_number_per_sample_and_exit(self, rule: Rule) -> None:
        """In double precision, as thresholds are."""
        found = _run(rule, _scores())
        assert found.shape == _scores().shape
        assert found.dtype == np.float64
        assert bool(np.isfinite(found).all())

    def test_samples_do_not_influence_each_other(self, rule: Rule) -> None:
        """The numbers of a batch are those of its samples one by one."""
        alone = [_run(rule, _scores()[:, i : i + 1]) for i in range(7)]
        np.testing.assert_array_equal(_run(rule, _scores()), np.concatenate(alone, axis=1))

    def test_the_memory_shrinks_with_the_batch(self, rule: Rule) -> None:
        """Rows are samples, so that those who stay keep what is remembered of them."""
        scores, staying = _scores(), [5, 0, 3]
        _, memory = rule.step(scores[0], rule.start(7))
        assert memory is None or memory.shape[0] == 7
        whole, _ = rule.step(scores[1], memory)
        part, _ = rule.step(scores[1][staying], None if memory is None else memory[staying])
        np.testing.assert_array_equal(part, whole[staying])

    def test_a_step_changes_nothing_but_what_it_returns(self, rule: Rule) -> None:
        """Neither the score nor the memory it is given."""
        scores = _scores()
        _, memory = rule.step(scores[0], rule.start(7))
        kept: Memory = None if memory is None else memory.copy()
        first, _ = rule.step(scores[1], memory)
        np.testing.assert_array_equal(scores, _scores())
        if memory is not None and kept is not None:
            np.testing.assert_array_equal(memory, kept)
        np.testing.assert_array_equal(rule.step(scores[1], memory)[0], first)
