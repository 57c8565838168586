"""Other pictures of the same faces: mirrored, moved, turned a little, brighter or darker."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from benchmarks.faces.orl import Faces

MARGIN = 24
"""Pixels by which a picture's edge is continued before it is moved, so that no black comes in."""


@dataclass(frozen=True)
class Changes:
    """How far a copy may be from its picture; all is drawn evenly.

    Attributes:
        flip: whether half of the copies are mirrored.
        shift: pixels, either way.
        degrees: of a turn about the middle, either way.
        light: share of the grey values that is added or taken.
    """

    flip: bool = True
    shift: int = 6
    degrees: float = 8.0
    light: float = 0.25


SMALL = Changes(shift=4, degrees=0.0, light=0.0)
"""Flips and small shifts alone."""


def copied(some: Faces, who: Int[np.ndarray, " faces"], copies: int, changes: Changes, seed: int) -> Faces:
    """So many copies of each face, one after the other: those of the first face, those of the second, and so on.

    Args:
        some: the faces.
        who: the number of each. A copy is drawn from seed, number and its place among the copies alone, so it is the
            same whatever is copied beside it.
        copies: how many of each.
        changes: how far they may be from it.
        seed: of what is drawn.
    """
    made = [
        changed(picture, changes, np.random.default_rng([seed, int(number), copy]))
        for picture, number in zip(some.pictures, who, strict=True)
        for copy in range(copies)
    ]
    shape = (len(made), *some.pictures.shape[1:])
    return Faces(np.array(made, np.uint8).reshape(shape), np.repeat(some.subject, copies))


def changed(
    picture: UInt8[np.ndarray, "height width"], changes: Changes, generator: np.random.Generator
) -> UInt8[np.ndarray, "height width"]:
    """A copy of a picture, of its size."""
    mirrored, (right, down) = generator.random() < 0.5, generator.integers(-changes.shift, changes.shift + 1, 2)
    degrees, light = changes.degrees * generator.uniform(-1, 1), 1 + changes.light * generator.uniform(-1, 1)
    wide = np.pad(picture[:, ::-1] if changes.flip and mirrored else picture, MARGIN, mode="edge")
    moved = Image.fromarray(wide).rotate(degrees, Image.Resampling.BILINEAR, translate=(int(right), int(down)))
    inner = np.asarray(moved, np.float64)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return np.clip(np.round(inner * light), 0, 255).astype(np.uint8)
