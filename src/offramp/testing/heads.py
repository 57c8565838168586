"""The tests every head type has to pass.

A head type's test file is `class TestMine(HeadSuite)` with one fixture `head_type`.
"""

import torch

from offramp.heads.head import Head, HeadType

SHAPES = ((24,), (9, 16), (8, 6, 6), (6, 6, 10), (8, 2, 3), (32, 1, 1))
"""A vector, tokens, a map, a map with its channels last, one smaller than a grid, and one of a single cell."""

CLASSES = 5


def _built(head_type: HeadType, shape: tuple[int, ...], seed: int = 0) -> Head:
    return head_type.build(shape, CLASSES, torch.Generator().manual_seed(seed)).eval()


def _feature(shape: tuple[int, ...], batch: int = 6) -> torch.Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(batch))


class HeadSuite:
    """What holds for every head type; subclass it and give the fixture `head_type`."""

    def test_logits_for_every_kind_of_feature(self, head_type: HeadType) -> None:
        """One finite number per class and sample."""
        for shape in SHAPES:
            logits = _built(head_type, shape)(_feature(shape))
            assert logits.shape == (6, CLASSES)
            assert bool(torch.isfinite(logits).all())

    def test_forward_is_reduce_then_predict(self, head_type: HeadType) -> None:
        """Bit for bit, since training sees cached reductions and the runtime sees features."""
        for shape in SHAPES:
            head, feature = _built(head_type, shape), _feature(shape)
            reduced = head.reduce(feature)
            assert reduced.ndim == 2
            torch.testing.assert_close(head(feature), head.predict(reduced), rtol=0, atol=0)

    def test_samples_do_not_influence_each_other(self, head_type: HeadType) -> None:
        """In eval mode the logits of a batch are those of its samples one by one."""
        for shape in SHAPES:
            head, feature = _built(head_type, shape), _feature(shape)
            torch.testing.assert_close(head(feature), torch.cat([head(one[None]) for one in feature]))

    def test_the_answer_depends_on_the_feature(self, head_type: HeadType) -> None:
        """Another feature, other logits."""
        for shape in SHAPES:
            logits = _built(head_type, shape)(_feature(shape))
            assert float((logits[0] - logits[1]).detach().abs().max()) > 1e-4

    def test_weights_come_from_the_generator_alone(self, head_type: HeadType) -> None:
        """Same seed, same weights; another seed, others; torch's global state is left alone."""
        before = torch.get_rng_state()
        one, same, other = (_built(head_type, (8, 6, 6), seed) for seed in (0, 0, 1))
        torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
        torch.testing.assert_close(one.state_dict(), same.state_dict(), rtol=0, atol=0)
        assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))

    def test_absorbing_a_standardisation_changes_no_answer(self, head_type: HeadType) -> None:
        """A head trained on `(x - mean) * scale` answers x the same once it has absorbed both."""
        head = _built(head_type, (24,))
        if not head.standardised:
            return  # it is trained on the numbers as they are
        reduced = head.reduce(_feature((24,)))
        mean, scale = torch.linspace(-2.0, 2.0, reduced.shape[1]), torch.linspace(0.5, 3.0, reduced.shape[1])
        expected = head.predict((reduced - mean) * scale).detach()
        head.absorb(mean, scale)
        torch.testing.assert_close(head.predict(reduced).detach(), expected, rtol=1e-4, atol=1e-4)

    def test_every_weight_is_trained(self, head_type: HeadType) -> None:
        """Each parameter gets a finite gradient."""
        head = head_type.build((8, 6, 6), CLASSES, torch.Generator().manual_seed(0)).eval()
        head(_feature((8, 6, 6))).square().sum().backward()
        for parameter in head.parameters():
            assert parameter.grad is not None
            assert bool(torch.isfinite(parameter.grad).all())
