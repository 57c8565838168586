"""The tests every gate has to pass.

A gate's test file is `class TestMine(GateSuite)` with one fixture `gate`.
"""

import torch

from offramp.gates.gate import Gate, State


def _logits(samples: int = 7, classes: int = 4, exits: int = 3) -> torch.Tensor:
    """Calibrated logits of several exits, from unsure to sure."""
    generator = torch.Generator().manual_seed(samples * 100 + classes)
    return torch.randn(exits, samples, classes, generator=generator) * torch.tensor([1.0, 3.0, 9.0])[:exits, None, None]


def _scores(gate: Gate, outputs: torch.Tensor) -> torch.Tensor:
    state = gate.init(outputs.shape[1])
    scores = []
    for logits in outputs:
        score, state = gate.step(logits, state)
        scores.append(score)
    return torch.stack(scores)


def _chosen(state: State, index: torch.Tensor) -> State:
    return tuple(tensor.index_select(0, index) for tensor in state)


class GateSuite:
    """What holds for every gate; subclass it and give the fixture `gate`."""

    def test_one_finite_score_per_sample(self, gate: Gate) -> None:
        """Also for two classes, one sample, and logits far beyond what a softmax can tell apart."""
        for logits in (_logits(), _logits(1, 2), _logits() * 1e4, torch.zeros(3, 5, 2)):
            scores = _scores(gate, logits)
            assert scores.shape == logits.shape[:2]
            assert scores.is_floating_point()
            assert bool(torch.isfinite(scores).all())

    def test_surer_outputs_do_not_score_lower(self, gate: Gate) -> None:
        """The more the first class stands out, the higher the score; in the end it is higher than at the start."""
        sure = torch.zeros(6, 4)
        sure[:, 0] = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
        score, _ = gate.step(sure, gate.init(6))
        assert bool((score.diff() >= 0).all())
        assert float(score[-1]) > float(score[0])

    def test_samples_do_not_influence_each_other(self, gate: Gate) -> None:
        """Scores of a batch are those of its samples one by one."""
        outputs = _logits()
        alone = [_scores(gate, outputs[:, i : i + 1]) for i in range(outputs.shape[1])]
        torch.testing.assert_close(_scores(gate, outputs), torch.cat(alone, dim=1))

    def test_the_state_shrinks_with_the_batch(self, gate: Gate) -> None:
        """Its tensors have the batch as first axis, so that those who stay keep what is remembered of them."""
        outputs, staying = _logits(), torch.tensor([5, 0, 3])
        _, state = gate.step(outputs[0], gate.init(7))
        assert all(tensor.shape[0] == 7 for tensor in state)
        whole, _ = gate.step(outputs[1], state)
        part, _ = gate.step(outputs[1][staying], _chosen(state, staying))
        torch.testing.assert_close(part, whole[staying])

    def test_a_step_changes_nothing_but_what_it_returns(self, gate: Gate) -> None:
        """Neither the output nor the state it is given; the same call gives the same score."""
        outputs = _logits()
        _, state = gate.step(outputs[0], gate.init(7))
        kept = outputs[1].clone(), tuple(tensor.clone() for tensor in state)
        first, _ = gate.step(outputs[1], state)
        torch.testing.assert_close((outputs[1], state), kept, rtol=0, atol=0)
        again, _ = gate.step(outputs[1], state)
        torch.testing.assert_close(again, first, rtol=0, atol=0)
