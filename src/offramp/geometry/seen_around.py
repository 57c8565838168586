"""What is looked at around networks and between them: landscapes, lines and planes."""

from itertools import combinations
from typing import Any

import numpy as np
import torch

from offramp.errors import InputError
from offramp.geometry.directions import filter_normalised
from offramp.geometry.looked import Looked, plain, risen
from offramp.geometry.weights import Plane, away, between, inner, moved, place

MARGIN = 0.25
"""How far a plane goes beyond the three networks, as a share of their distances."""


def landscape(looked: Looked) -> dict[str, Any]:
    """The loss around every model, on two filter-normalised directions that are the same random numbers for all.

    `here` is the loss at (0, 0), whose batch norms are recalibrated like those of all other places; `as_is` that of the
    model with its own statistics.
    """
    at = np.linspace(-looked.settings.reach, looked.settings.reach, looked.settings.grid)
    settings = (looked.settings.seed, looked.settings.batch_size, looked.settings.moved)
    models = {name: _around(looked, name, at, settings) for name in looked.models}
    return {"at": at.tolist(), "models": models}


def _around(looked: Looked, name: str, at: np.ndarray, settings: tuple[object, ...]) -> dict[str, Any]:
    sight, weights = looked.sight, looked.models[name]
    depends = (*settings, looked.digest(name))
    generator = torch.Generator().manual_seed(looked.settings.seed)
    one, two = (filter_normalised(weights, sight.parameters_of(looked.settings.moved), generator) for _ in range(2))

    def own() -> Any:
        place(sight.network, weights)
        return plain(sight.losses())

    def row(y: float) -> Any:
        return [plain(sight.at(moved(weights, (float(x), one), (y, two)))) for x in at]

    as_is = looked.kept.once("landscape", (*depends, "as is"), own)
    here = looked.kept.once("landscape", (*depends, "here"), lambda: plain(sight.at(weights)))
    rows = []
    for done, y in enumerate(at.tolist()):
        rows.append(looked.kept.once("landscape", (*depends, at.tolist(), y), lambda y=y: row(y)))  # type: ignore[misc]
        looked.progress(f"landscape of {name}", done + 1, len(at))
    return {"as_is": as_is, "here": here, **_last_and_mean(rows)}


def connectivity(looked: Looked) -> dict[str, Any]:
    """The loss on the straight lines between all models, and on the plane through the first three.

    Of fewer than two there is nothing; the plane is None where there are fewer than three, or they lie on one line.
    """
    names, lines = list(looked.models), []
    pairs = list(combinations(names, 2))
    for done, (one, other) in enumerate(pairs):
        lines.append(line(looked, one, other))
        looked.progress("lines", done + 1, len(pairs))
    return {"lines": lines, "plane": plane(looked, (names[0], names[1], names[2])) if len(names) > 2 else None}


def line(looked: Looked, one: str, other: str) -> dict[str, Any]:
    """The losses on the way from one model to another, their barriers, and how far the two are apart."""
    share = np.linspace(0.0, 1.0, looked.settings.steps)
    first, second = looked.models[one], looked.models[other]
    depends = (looked.settings.batch_size, looked.digest(one), looked.digest(other))

    def place_at(at: float) -> Any:
        return plain(looked.sight.at(between(first, second, at)))

    points = [looked.kept.once("line", (*depends, at), lambda at=at: place_at(at)) for at in share.tolist()]  # type: ignore[misc]
    step, found = away(first, second), _last_and_mean([points])
    last, mean = found["last"][0], found["mean"][0]
    return {
        "from": one,
        "to": other,
        "at": share.tolist(),
        "distance": inner(step, step, looked.sight.parameters) ** 0.5,
        "last": last,
        "mean": mean,
        "barrier": {"last": risen(last), "mean": risen(mean)},
    }


def plane(looked: Looked, names: tuple[str, str, str]) -> dict[str, Any] | None:
    """The losses on the plane through three models; None where they lie on one line."""
    try:
        first, second, third = (looked.models[name] for name in names)
        found = Plane.through(first, second, third, looked.sight.parameters)
    except InputError:
        return None
    sides = [_side([corner[axis] for corner in found.corners], looked.settings.grid) for axis in (0, 1)]
    depends = (looked.settings.batch_size, looked.settings.grid, *(looked.digest(name) for name in names))

    def row(y: float) -> Any:
        return [plain(looked.sight.at(found.at(float(x), y))) for x in sides[0]]

    rows = []
    for done, y in enumerate(sides[1].tolist()):
        rows.append(looked.kept.once("plane", (*depends, y), lambda y=y: row(y)))  # type: ignore[misc]
        looked.progress("plane", done + 1, looked.settings.grid)
    corners = {name: list(corner) for name, corner in zip(names, found.corners, strict=True)}
    return {"x": sides[0].tolist(), "y": sides[1].tolist(), "corners": corners, **_last_and_mean(rows)}


def _side(corners: list[float], points: int) -> np.ndarray:
    low, high = min(corners), max(corners)
    margin = MARGIN * (high - low)
    side: np.ndarray = np.linspace(low - margin, high + margin, points)
    return side


def _last_and_mean(rows: list[list[list[float | None]]]) -> dict[str, list[list[float | None]]]:
    """Of losses of all exits, rows by columns, the backbone's own and the mean of all."""
    losses = np.array(rows, np.float64)
    return {"last": plain(losses[..., -1]), "mean": plain(losses.mean(axis=-1))}
