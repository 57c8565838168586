"""SelfXit's protocol for faces, on ORL: which pictures serve what, so that no picture serves two purposes.

SelfXit (section 4.2) trains a classifier of the identities on a portion of the pictures, throws that away, and divides
what is left. Here three pictures of each subject train the classifier; the other seven are the unlabelled stream, whose
copies are always where their picture is.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from benchmarks.faces.copies import Changes, copied
from benchmarks.faces.orl import Faces, faces
from offramp.split import PARTS, Parts, Shares

SUBJECTS, KNOWN = 20, 15
"""Subjects, and those that the open-set classifier knows; the others are strangers to it."""

TEACHING = 3
"""Pictures of each subject that train the classifier and are used for nothing else."""

PORTIONS = 0
"""Seed of the draw of these, which is the same for all builds, since they share one backbone."""

COPIES = {"train": 4, "choose": 9, "certify": 0, "report": 0}
"""Copies beside each picture. What is proved and reported is proved and reported of pictures: copies of one picture are
no independent samples of the world."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Unlabelled faces and how they are to be divided.

    Attributes:
        faces: pictures and copies; the subjects are for evaluation alone.
        picture: of each row, which picture of ORL it is or is a copy of.
        shares: given with `seed` to a build, they divide the rows by picture.
        seed: of the division.
    """

    faces: Faces
    picture: Int[np.ndarray, " faces"]
    shares: Shares
    seed: int

    def parts(self) -> Parts:
        """The rows of each part, as a build divides them."""
        return self.shares.divide(len(self.picture), self.seed)


def portions(subject: Int[np.ndarray, " faces"]) -> tuple[Int[np.ndarray, " some"], Int[np.ndarray, " others"]]:
    """The pictures that train the classifier, `TEACHING` of each subject, and those of the stream."""
    generator = np.random.default_rng(PORTIONS)
    drawn = [generator.permutation(np.flatnonzero(subject == who))[:TEACHING] for who in np.unique(subject)]
    teaching = np.sort(np.concatenate(drawn))
    return teaching, np.setdiff1d(np.arange(len(subject)), teaching)


def stream_of(
    all_faces: Faces, copies: dict[str, int], changes: Changes, seed: int, identities: int = SUBJECTS
) -> Stream:
    """The stream of the first subjects, with so many copies beside each picture of a part.

    A build divides rows at random, which would put copies of one picture into different parts. But what it will do is
    known beforehand: so pictures are divided as it would divide them, the shares are made those of their rows, and a
    picture's rows are put where a build with these shares and this seed takes that part from.
    """
    _, others = portions(all_faces.subject)
    chosen = others[all_faces.subject[others] < identities]
    pictures = {part: chosen[rows] for part, rows in Shares().divide(len(chosen), seed).items()}
    counts = {part: len(pictures[part]) * (1 + copies[part]) for part in PARTS}
    total = sum(counts.values())
    shares = Shares(*(counts[part] / total for part in PARTS))
    shape = all_faces.pictures.shape[1:]
    found = Faces(np.empty((total, *shape), np.uint8), np.empty(total, np.int64))
    picture = np.empty(total, np.int64)
    for part, rows in shares.divide(total, seed).items():
        own = with_copies(all_faces.at(pictures[part]), pictures[part], copies[part], changes, seed)
        found.pictures[rows], found.subject[rows] = own.pictures, own.subject
        picture[rows] = np.concatenate([pictures[part], np.repeat(pictures[part], copies[part])])
    return Stream(found, picture, shares, seed)


def with_copies(some: Faces, who: Int[np.ndarray, " faces"], copies: int, changes: Changes, seed: int) -> Faces:
    """The faces and then their copies, see `copied`."""
    made = copied(some, who, copies, changes, seed)
    return Faces(np.concatenate([some.pictures, made.pictures]), np.concatenate([some.subject, made.subject]))


def stream() -> tuple[np.ndarray, np.ndarray]:
    """The stream as a factory for the command line, with the subjects, which are read on request.

    It is divided by picture where the build is given `--split 350/210/28/21`, the counts of its rows, and seed 0.
    """
    found = stream_of(faces(), COPIES, Changes(), 0)
    return found.faces.pictures, found.faces.subject
