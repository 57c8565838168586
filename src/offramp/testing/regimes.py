"""The tests every regime has to pass.

A regime's test file is `class TestMine(RegimeSuite)` with one fixture `regime`.
"""

import torch

from offramp.errors import DataError
from offramp.train.regime import Regime


class RegimeSuite:
    """What holds for every regime; subclass it and give the fixture `regime`.

    Where outputs are no logits of classes, `case` is another.
    """

    step = 0.5
    """How far down the gradient it must still fall."""

    def case(self, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of an exit, of the backbone, and labels."""
        generator = torch.Generator().manual_seed(seed)
        exit_, backbone = torch.randn(2, 8, 5, generator=generator) * 2.0
        return exit_, backbone, torch.randint(0, 5, (8,), generator=generator)

    def test_is_the_mean_over_samples(self, regime: Regime) -> None:
        """The loss of a batch is the mean of the losses of its samples."""
        logits, backbone, labels = self.case()
        alone = [
            regime.loss(logits[i : i + 1], backbone[i : i + 1], labels[i : i + 1]).item() for i in range(len(logits))
        ]
        loss = regime.loss(logits, backbone, labels)
        assert loss.ndim == 0
        torch.testing.assert_close(loss.item(), sum(alone) / len(alone), rtol=1e-5, atol=1e-6)

    def test_descent_lowers_it_and_reaches_the_exit_only(self, regime: Regime) -> None:
        """A small step along the gradient is an improvement; the backbone gets no gradient."""
        logits, backbone, labels = self.case()
        logits = logits.requires_grad_()
        loss = regime.loss(logits, backbone, labels)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert bool(torch.isfinite(gradient).all())
        better = regime.loss(logits.detach() - self.step * gradient, backbone, labels)
        assert better.item() < loss.item()
        assert not backbone.requires_grad

    def test_is_finite_for_very_sure_exits(self, regime: Regime) -> None:
        """Also where a softmax rounds to zeros and ones."""
        logits, backbone, labels = self.case()
        assert bool(torch.isfinite(regime.loss(logits * 1e3, backbone * 1e3, labels)))

    def test_labels_are_read_only_where_they_are_needed(self, regime: Regime) -> None:
        """Without labels a regime that needs them refuses; others do not look at them."""
        logits, backbone, labels = self.case()
        if regime.needs_labels:
            refused = ""
            try:
                regime.loss(logits, backbone, None)
            except DataError as error:
                refused = str(error)
            assert "labels" in refused
            return
        with_labels, without = regime.loss(logits, backbone, labels), regime.loss(logits, backbone, None)
        torch.testing.assert_close(with_labels, without, rtol=0, atol=0)
