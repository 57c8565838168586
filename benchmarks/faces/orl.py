"""The ORL faces (AT&T Laboratories Cambridge), twenty subjects with ten pictures each, grey, 112x92.

The network wants RGB of 112x112. A grey value stands for all three channels, and ten black columns are put on either
side: so a face keeps its proportions, and pairs are told apart better than where it is stretched to a square.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from offramp.load.image_preprocess import ImagePreprocess

FACES = "face/orl_dev_subjects01-20.npz"
"""The pictures in the data folder."""

WEIGHTS = "face/mobilefacenet_foamliu_112x112.pt"
"""MobileFaceNet in the data folder."""

PREPROCESS = ImagePreprocess(size=(112, 112), crop=True, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""From a grey picture (112, 92) to what the network takes; a crop larger than a picture adds black."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Pictures and whose they are.

    Attributes:
        pictures: grey values.
        subject: of each picture, counted from 0.
    """

    pictures: UInt8[np.ndarray, "faces height width"]
    subject: Int[np.ndarray, " faces"]

    def __len__(self) -> int:
        return len(self.pictures)

    def at(self, rows: Int[np.ndarray, " some"]) -> "Faces":
        """Some of them."""
        return Faces(self.pictures[rows], self.subject[rows])


def faces(root: Path | None = None) -> Faces:
    """All of them; the data folder is $OFFRAMP_DATA or ../shared/data where none is given."""
    with np.load((root or data_root()) / FACES) as file:
        return Faces(file["x"], file["y"].astype(np.int64) - 1)


def data_root() -> Path:
    """The data folder."""
    return Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
