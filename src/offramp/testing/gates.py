"""The tests every gate has to pass.

A gate's test file is `class TestMine(GateSuite)` with one fixture `gate`.
"""

import numpy as np
import torch

from offramp.decide.rule import NAMES as RULES
from offramp.gates.gate import Gate


def _logits(samples: int = 7, classes: int = 4, exits: int = 3) -> torch.Tensor:
    """Calibrated logits of several exits, from unsure to sure."""
    generator = torch.Generator().manual_seed(samples * 100 + classes)
    return torch.randn(exits, samples, classes, generator=generator) * torch.tensor([1.0, 3.0, 9.0])[:exits, None, None]


def _scores(gate: Gate, outputs: torch.Tensor) -> torch.Tensor:
    return torch.stack([gate.score(logits, index) for index, logits in enumerate(outputs)])


class GateSuite:
    """What holds for every gate; subclass it and give the fixture `gate`.

    A gate with weights has those of two exits and four classes.
    """

    fewest = 2
    """The fewest classes it can take."""

    sure = True
    """Whether it scores nothing but how much one class stands out."""

    def test_one_finite_score_per_sample(self, gate: Gate) -> None:
        """Also for two classes, one sample, and logits far beyond what a softmax can tell apart."""
        for logits in (_logits(), _logits(1, self.fewest), _logits() * 1e4, torch.zeros(3, 5, self.fewest)):
            scores = _scores(gate, logits)
            assert scores.shape == logits.shape[:2]
            assert scores.is_floating_point()
            assert bool(torch.isfinite(scores).all())

    def test_surer_outputs_do_not_score_lower(self, gate: Gate) -> None:
        """The more the first class stands out, the higher the score; in the end it is higher than at the start."""
        if not self.sure:
            return
        sure = torch.zeros(6, 4)
        sure[:, 0] = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
        score = gate.score(sure, 0)
        assert bool((score.diff() >= 0).all())
        assert float(score[-1]) > float(score[0])

    def test_samples_do_not_influence_each_other(self, gate: Gate) -> None:
        """Scores of a batch are those of its samples one by one."""
        outputs = _logits()
        alone = [_scores(gate, outputs[:, i : i + 1]) for i in range(outputs.shape[1])]
        torch.testing.assert_close(_scores(gate, outputs), torch.cat(alone, dim=1))

    def test_scores_are_what_its_rule_takes(self, gate: Gate) -> None:
        """There is a rule of that name, and it makes one finite number of each score."""
        by, outputs = RULES[gate.rule], _logits()
        memory = by.start(outputs.shape[1])
        for score in _scores(gate, outputs)[:-1].double().numpy():
            decisive, memory = by.step(score, memory)
            assert decisive.shape == score.shape
            assert bool(np.isfinite(decisive).all())

    def test_a_score_changes_nothing(self, gate: Gate) -> None:
        """The output is left alone, and the same call gives the same score."""
        outputs = _logits()
        kept = outputs.clone()
        first = _scores(gate, outputs)
        torch.testing.assert_close(outputs, kept, rtol=0, atol=0)
        torch.testing.assert_close(_scores(gate, outputs), first, rtol=0, atol=0)

    def test_costs_are_not_negative(self, gate: Gate) -> None:
        """And grow with the classes, if at all."""
        assert 0.0 <= gate.macs(2) <= gate.macs(1000)
