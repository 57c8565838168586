import numpy as np
import pytest
import torch
from benchmarks.regimes.geometry import Sight
from benchmarks.regimes.landscape import barrier, between, dominance, ranks, recalibrate
from torch import nn

from offramp.testing.models import CNN, attached
from offramp.train.exiting import Exiting
from tests.toys import logits_of


def test_a_line_goes_from_one_end_to_the_other() -> None:
    one, other = nn.BatchNorm1d(3).state_dict(), nn.BatchNorm1d(3).state_dict()
    other["weight"] = torch.tensor([3.0, 1.0, -1.0])
    assert between(one, other, 0.25)["weight"].tolist() == [1.5, 1.0, 0.5]
    assert between(one, other, 0.0)["weight"].equal(one["weight"])
    assert between(one, other, 1.0)["weight"].equal(other["weight"])
    assert between(one, other, 0.5)["num_batches_tracked"].dtype == torch.int64


def test_a_convex_loss_has_no_barrier_and_a_double_well_has_its_top() -> None:
    at = np.linspace(-1.0, 1.0, 11)
    assert barrier((at**2).tolist()) == 0.0
    assert barrier(((at**2 - 1) ** 2).tolist()) == pytest.approx(1.0)
    assert barrier(((at**2 - 1) ** 2 + at).tolist()) == pytest.approx(1.0)


def test_batch_norms_are_calibrated_to_the_batches_and_left_as_they_were_else() -> None:
    norm = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5)).eval()
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    recalibrate(norm, lambda: [norm(some) for some in x.chunk(4)])
    layer = norm[0]
    assert isinstance(layer, nn.BatchNorm1d)
    torch.testing.assert_close(layer.running_mean, x.mean(0))
    expected = torch.stack([some.var(0) for some in x.chunk(4)]).mean(0)
    torch.testing.assert_close(layer.running_var, expected)
    assert not any(part.training for part in norm)


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_ranks_of_features_that_are_known(rank: int) -> None:
    """Features on orthogonal axes with equal variances have both ranks equal to the number of axes."""
    generator = np.random.default_rng(0)
    axes = np.linalg.qr(generator.normal(size=(32, rank)))[0]
    drawn = generator.normal(size=(200, rank))
    white = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    numerical, effective = ranks((white @ axes.T).astype(np.float32))
    assert numerical == rank
    assert effective == pytest.approx(rank, rel=1e-3)


def test_an_uneven_spectrum_has_a_lower_effective_rank() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(500, 2))
    white = np.linalg.qr(drawn - drawn.mean(axis=0))[0]
    numerical, effective = ranks(white * np.array([3.0, 1.0]))
    assert numerical == 2
    assert effective == pytest.approx(np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1))), rel=1e-6)


def test_dominance_is_the_share_of_the_gradients_norm() -> None:
    a, b = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    losses = [3.0 * a.sum(), 4.0 * a.sum() + b.sum()]
    found = dominance(losses, [[a], [b]])
    np.testing.assert_allclose(found, [[3 / 7, 4 / 7], [0.0, 1.0]])


def test_a_network_is_looked_at_span_by_span() -> None:
    """A later span gets nothing from an earlier exit, rows sum to one, and the ends of a line are the ends' losses."""
    multi_exit = attached(CNN.model(), CNN.inputs(2))
    network = Exiting(multi_exit, logits_of).eval()
    inputs = CNN.inputs(24)
    assert isinstance(inputs, torch.Tensor)
    points = tuple(exit_.point for exit_ in multi_exit.exits)
    labels = torch.arange(24) % multi_exit.backbone.classes
    sight = Sight(network, inputs, labels, points)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    found = np.array(sight.dominance(start))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (np.tril(found[:, : len(points)], k=-1)[: len(points)] == 0.0).all()
    other = {name: value * 0.5 if value.is_floating_point() else value for name, value in start.items()}
    line = sight.line(start, other, 3)["mean"]
    assert line[0] == pytest.approx(sight.line(start, start, 2)["mean"][1], rel=1e-5)
    assert line[2] == pytest.approx(sight.line(other, other, 2)["mean"][0], rel=1e-5)
    assert set(sight.ranks(start, 16)) == set(points)
