"""Pictures of COCO train2017 with their boxes, from the archive of 128 that the data folder has.

Each line of a label file is `class x y width height`, the centre and size as fractions of the picture; a picture
without a file has no objects in it.
"""

import re
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

PICTURES, LABELS, NAMES = "images/", "object_detection/labels/", "object_detection/config.yaml"


@dataclass(frozen=True, eq=False)
class Coco:
    """Pictures of one size and what is in them.

    Attributes:
        names: of the 80 classes.
        ids: the number of each picture in COCO.
        pictures: RGB.
        boxes: of each picture, xyxy as fractions of its width and height.
        labels: of each picture, the class of each box.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    pictures: UInt8[np.ndarray, "N height width 3"]
    boxes: tuple[Float[np.ndarray, "_ 4"], ...]
    labels: tuple[Int[np.ndarray, " _"], ...]

    def __len__(self) -> int:
        return len(self.ids)

    def presence(self, name: str) -> Bool[np.ndarray, " N"]:
        """Whether each picture shows at least one object of that class."""
        label = self.names.index(name)
        return np.array([label in labels for labels in self.labels])


def read(path: Path, size: tuple[int, int] = (352, 352), most: int | None = None) -> Coco:
    """The pictures of an archive, by number, squashed to `size` (height, width).

    Args:
        path: a tar with `images`, and `object_detection` with labels and the names of the classes.
        size: of all pictures.
        most: no more than so many of them.
    """
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive.getmembers() if member.isfile()}

        def content(name: str) -> bytes:
            return _content(archive, members[name])

        names = re.findall(r"^\s+\d+: (.+)$", content(NAMES).decode(), re.MULTILINE)
        numbers = {int(PurePosixPath(name).stem): name for name in members if name.startswith(PICTURES)}
        told = {int(PurePosixPath(name).stem): name for name in members if name.startswith(LABELS)}
        ids = sorted(numbers)[:most]
        pictures = np.stack([_picture(content(numbers[number]), size) for number in ids])
        objects = [_objects(content(told[number]).decode() if number in told else "") for number in ids]
    return Coco(
        names=tuple(names),
        ids=tuple(ids),
        pictures=pictures,
        boxes=tuple(boxes for boxes, _ in objects),
        labels=tuple(labels for _, labels in objects),
    )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file: Any = archive.extractfile(member)
    return bytes(file.read())


def _picture(content: bytes, size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    with Image.open(BytesIO(content)) as picture:
        return np.array(picture.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR))


def _objects(text: str) -> tuple[Float[np.ndarray, "N 4"], Int[np.ndarray, " N"]]:
    """Boxes and classes of one picture."""
    values = np.array([line.split() for line in text.splitlines()], np.float64).reshape(-1, 5)
    centre, half = values[:, 1:3], values[:, 3:] / 2
    return np.concatenate((centre - half, centre + half), 1).clip(0, 1), values[:, 0].astype(np.int64)
