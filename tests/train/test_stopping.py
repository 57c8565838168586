import torch
from torch import nn

from offramp.train.stopping import Stopping


def with_weight(value: float) -> nn.Module:
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(value)
    return layer


def after(*checks: tuple[float, float]) -> Stopping:
    """Two exits, whose network has the number of the check as its weight."""
    stopping = Stopping()
    for number, losses in enumerate(checks):
        stopping.note(dict(enumerate(losses)), with_weight(number))
    return stopping


def kept(stopping: Stopping) -> float:
    network = with_weight(-1.0)
    stopping.restore(network)
    assert isinstance(network, nn.Linear)
    return network.weight.item()


def test_the_best_mean_is_kept() -> None:
    """The released code would keep check 3, the last with which any head was better; its mean is the worst."""
    stopping = after((4.0, 4.0), (2.0, 3.0), (3.0, 3.5), (1.9, 9.0))
    assert (kept(stopping), stopping.mean, stopping.best) == (1.0, 2.5, {0: 1.9, 1: 3.0})


def test_nothing_is_restored_before_a_check() -> None:
    assert kept(Stopping()) == -1.0
    assert not Stopping().over(1)


def test_a_phase_is_over_when_every_head_has_had_its_time() -> None:
    worse_at_one = [(1.0, 1.0), (2.0, 0.9), (2.0, 0.8), (2.0, 0.7)]
    assert after(*worse_at_one).stale == {0: 3, 1: 0}
    assert not after(*worse_at_one).over(1)
    worse = after(*worse_at_one, (2.0, 0.8), (2.0, 0.8))
    assert [worse.over(patience) for patience in (1, 2, 3, None)] == [True, True, False, False]


def test_an_equal_loss_neither_counts_nor_starts_anew() -> None:
    assert after((1.0, 1.0), (2.0, 1.0), (1.0, 1.0)).stale == {0: 1, 1: 0}


def test_its_state_is_all_there_is_to_it() -> None:
    stopping, again = after((4.0, 4.0), (2.0, 3.0), (5.0, 2.0)), Stopping()
    again.load(stopping.state())
    assert (again.best, again.stale, again.mean) == (stopping.best, stopping.stale, stopping.mean)
    assert kept(again) == kept(stopping)


def test_kept_weights_are_a_copy() -> None:
    stopping, network = Stopping(), with_weight(5.0)
    stopping.note({0: 1.0}, network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert kept(stopping) == 5.0
