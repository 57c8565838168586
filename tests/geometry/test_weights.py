import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.geometry.weights import Plane, between, moved, place, weights_of


def drawn(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "a": torch.randn(3, 4, generator=generator, dtype=torch.float64),
        "b": torch.randn(5, generator=generator, dtype=torch.float64),
        "mean": torch.randn(2, generator=generator, dtype=torch.float64),
        "count": torch.tensor(seed),
    }


NAMED = ("a", "b")


def flat(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([weights[name].flatten() for name in NAMED])


def test_a_line_goes_from_one_end_to_the_other_and_counts_stay() -> None:
    one, other = drawn(1), drawn(2)
    torch.testing.assert_close(between(one, other, 0.25)["a"], 0.75 * one["a"] + 0.25 * other["a"])
    for name in ("a", "b", "mean"):
        assert between(one, other, 0.0)[name].equal(one[name])
        assert between(one, other, 1.0)[name].equal(other[name])
    assert between(one, other, 0.5)["count"].equal(one["count"])


def test_a_plane_holds_its_three_networks_and_its_axes_are_orthonormal() -> None:
    three = [drawn(seed) for seed in (1, 2, 3)]
    plane = Plane.through(three[0], three[1], three[2], NAMED)
    u, v = flat(dict(plane.u)), flat(dict(plane.v))
    torch.testing.assert_close(torch.stack([u @ u, v @ v, u @ v]), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    for corner, weights in zip(plane.corners, three, strict=True):
        at = plane.at(*corner)
        for name in ("a", "b", "mean"):
            torch.testing.assert_close(at[name], weights[name])
    assert plane.corners[2][1] > 0.0
    x, y = plane.corners[2]
    assert (x**2 + y**2) ** 0.5 == pytest.approx(float((flat(three[2]) - flat(three[0])).norm()))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_three_networks_on_one_line_have_no_plane(share: float) -> None:
    one, other = drawn(1), drawn(2)
    with pytest.raises(InputError, match="expected three"):
        Plane.through(one, other, between(one, other, share), NAMED)
    with pytest.raises(InputError, match="same weights"):
        Plane.through(one, one, other, NAMED)


def test_what_a_direction_does_not_name_stays() -> None:
    found = moved(drawn(1), (2.0, {"b": torch.ones(5, dtype=torch.float64)}))
    torch.testing.assert_close(found["b"], drawn(1)["b"] + 2.0)
    assert found["a"].equal(drawn(1)["a"])


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4, bias=False)
        self.two = nn.Linear(4, 4, bias=False)
        self.two.weight = self.one.weight
        self.norm = nn.BatchNorm1d(4)


def test_weights_are_copied_put_back_and_those_that_are_tied_move_together() -> None:
    network = Tied()
    start = weights_of(network)
    assert set(start) == {
        "one.weight",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    }
    place(network, moved(start, (1.0, {"one.weight": torch.ones(4, 4)})))
    torch.testing.assert_close(network.two.weight.detach(), start["one.weight"] + 1.0)
    place(network, start)
    assert network.two.weight.equal(start["one.weight"])


def test_weights_of_another_network_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"got weight of \(3, 4\) in place of \(5, 4\)"):
        place(nn.Linear(4, 5), weights_of(nn.Linear(4, 3)))
    with pytest.raises(InputError, match="got bias of none in place of"):
        place(nn.Linear(4, 5), weights_of(nn.Linear(4, 5, bias=False)))
