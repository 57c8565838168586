import torch
from torch import nn

from offramp.geometry.norms import recalibrate


def test_batch_norms_are_calibrated_to_the_batches_and_left_as_they_were_else() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), nn.Dropout(0.5)).eval()
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)) * 3 + 1
    assert recalibrate(network, lambda: [network(some) for some in x.chunk(4)])
    layer = network[0]
    assert isinstance(layer, nn.BatchNorm1d)
    torch.testing.assert_close(layer.running_mean, x.mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack([some.var(0) for some in x.chunk(4)]).mean(0))
    assert layer.momentum == 0.3
    assert not any(part.training for part in network)


def test_norms_behind_each_other_see_what_the_ones_before_make_of_the_data() -> None:
    """In one batch each layer's statistics are those of its inputs, normalised by the batch as in training."""
    first, second = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    network = nn.Sequential(first, nn.ReLU(), second).eval()
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 5.0, 0.2]) + 2.0
    recalibrate(network, lambda: network(x))
    between = ((x - x.mean(0)) / (x.var(0, correction=0) + first.eps).sqrt()).relu()
    torch.testing.assert_close(second.running_mean, between.mean(0))
    torch.testing.assert_close(second.running_var, between.var(0))


def test_without_batch_norms_nothing_is_run() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.BatchNorm1d(2, track_running_stats=False))

    def never() -> None:
        raise AssertionError

    assert not recalibrate(network, never)
