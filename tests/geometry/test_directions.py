import torch
from torch import nn

from offramp.geometry.directions import filter_normalised
from offramp.geometry.weights import weights_of


def test_each_filter_is_as_long_as_that_of_the_weights_and_biases_do_not_move() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 7))
    weights = weights_of(network)
    with torch.no_grad():
        weights["0.weight"][2] = 0.0
    found = filter_normalised(
        weights, [name for name, _ in network.named_parameters()], torch.Generator().manual_seed(0)
    )
    assert set(found) == {"0.weight", "3.weight"}
    for name, step in found.items():
        for index in range(len(step)):
            torch.testing.assert_close(step[index].norm(), weights[name][index].norm())
        assert (step * weights[name]).sum().abs() < 0.5 * (weights[name] ** 2).sum()


def test_directions_follow_from_the_generator_alone_and_torchs_own_state_is_not_touched() -> None:
    weights, before = weights_of(nn.Linear(4, 3)), torch.random.get_rng_state()
    one, two, three = (
        filter_normalised(weights, ["weight"], torch.Generator().manual_seed(seed))["weight"] for seed in (1, 1, 2)
    )
    assert one.equal(two)
    assert not one.equal(three)
    assert torch.random.get_rng_state().equal(before)
