"""Points in the space of weights: on the straight line between two networks, and on the plane through three."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from offramp.errors import InputError

Weights = Mapping[str, torch.Tensor]
"""Parameters and buffers of a network, each once, by its first name. Those that are no floating-point numbers (counts)
are never moved."""


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of them."""
    return {name: tensor.detach().clone() for name, tensor in _own(network).items()}


def place(network: nn.Module, weights: Weights) -> None:
    """Puts weights into a network.

    Raises:
        InputError: if they are of another one.
    """
    own = _own(network)
    check_fit(own, weights, "the weights")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def check_fit(one: Weights, other: Weights, what: str) -> None:
    """Refuses weights between which there is no line.

    Raises:
        InputError: naming the first parameter or buffer that differs.
    """
    shapes, others = ({name: tuple(tensor.shape) for name, tensor in each.items()} for each in (one, other))
    for name in [*shapes, *others]:
        if shapes.get(name) != others.get(name):
            raise InputError(
                f"expected {what} to have the same parameters and sizes, got {name} of {_sizes(others.get(name))} "
                f"in place of {_sizes(shapes.get(name))}; give trainings of one architecture with the same exits"
            )


def _sizes(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(shape)


def _own(network: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def between(one: Weights, other: Weights, share: float) -> dict[str, torch.Tensor]:
    """The point at `share` of the straight line from one to the other; at 0 and 1 exactly the ends.

    >>> between({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([3.0, 0.0])}, 0.25)["w"].tolist()
    [1.5, 0.0]
    """
    return {
        name: torch.lerp(value, other[name], share) if value.is_floating_point() else value
        for name, value in one.items()
    }


def moved(origin: Weights, *steps: tuple[float, Weights]) -> dict[str, torch.Tensor]:
    """The origin plus each direction times its length; what a direction does not name stays.

    >>> moved({"w": torch.zeros(2)}, (2.0, {"w": torch.ones(2)}))["w"].tolist()
    [2.0, 2.0]
    """
    found = dict(origin)
    for length, direction in steps:
        for name, step in direction.items():
            found[name] = found[name] + length * step
    return found


def away(one: Weights, other: Weights) -> dict[str, torch.Tensor]:
    """What leads from one to the other, of all that is floating-point."""
    return {name: other[name] - value for name, value in one.items() if value.is_floating_point()}


def inner(one: Weights, other: Weights, named: Collection[str]) -> float:
    """The inner product over these names, in double precision."""
    return sum(float((one[name].double() * other[name].double()).sum()) for name in named if name in one)


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane through three networks.

    Attributes:
        origin: the first.
        u: direction to the second, of length 1.
        v: orthogonal to u, of length 1; the third lies on its positive side.
        corners: the coordinates of the three.
    """

    origin: Weights
    u: Weights
    v: Weights
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def through(cls, first: Weights, second: Weights, third: Weights, parameters: Collection[str]) -> "Plane":
        """The plane; v is made orthogonal to u as Garipov et al. 2018 do.

        Args:
            first: at (0, 0).
            second: at (distance, 0).
            third: above the first axis.
            parameters: the names that lengths and angles are of; buffers go along.

        Raises:
            InputError: if two of them are the same, or all three lie on one line.
        """
        u, v = away(first, second), away(first, third)
        length = inner(u, u, parameters) ** 0.5
        if not length > 0.0:
            raise InputError("expected three different networks for a plane, got two with the same weights")
        u = {name: step / length for name, step in u.items()}
        along = inner(u, v, parameters)
        rest = {name: step - along * u[name] for name, step in v.items()}
        height, whole = inner(rest, rest, parameters) ** 0.5, inner(v, v, parameters) ** 0.5
        if not height > 1e-6 * whole:
            raise InputError("expected three networks that do not lie on one line, got such; draw the line instead")
        rest = {name: step / height for name, step in rest.items()}
        return cls(first, u, rest, ((0.0, 0.0), (length, 0.0), (along, height)))

    def at(self, x: float, y: float) -> dict[str, torch.Tensor]:
        """The weights at these coordinates."""
        return moved(self.origin, (x, self.u), (y, self.v))
