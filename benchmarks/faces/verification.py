"""Whether two pictures show one person, told by the cosine of their embeddings: for persons no classifier knows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from offramp.errors import DataError

FARS = (0.001, 0.01, 0.1)
"""False accept rates at which the true accept rate is told, where there are so many pairs."""


@dataclass(frozen=True)
class Verification:
    """How well pairs of pictures are told apart.

    Attributes:
        same: pairs of one person.
        different: pairs of two.
        auc: probability that a pair of one person is closer than a pair of two; a tie counts half.
        tar: by false accept rate, the share of the pairs of one person that are accepted where at most that share of
            the others is.
    """

    same: int
    different: int
    auc: float
    tar: dict[float, float]


@dataclass(frozen=True)
class OpenSet:
    """What a model with early exits does with faces, and what their embeddings say of pairs.

    Attributes:
        left: share of the faces that leave early; they get the name of somebody the classifier knows, and no embedding.
        whole: of all pairs, by the embeddings of the plain backbone; None where there are no pairs of either kind.
        reached: of the pairs of which both faces reach the end, by the embeddings given for these.
        difference: largest difference between these and the backbone's; 0 is equal bit for bit.
    """

    left: float
    whole: Verification | None
    reached: Verification | None
    difference: float


def open_set(
    exit_index: Int[np.ndarray, " faces"],
    last: int,
    given: Float[np.ndarray, "reached size"],
    plain: Float[np.ndarray, "faces size"],
    person: Int[np.ndarray, " faces"],
) -> OpenSet:
    """Verification by a model with early exits, beside the plain backbone's.

    Args:
        exit_index: where each face left.
        last: the number of the backbone's own output among the exits.
        given: embeddings that the model with exits gives for the faces that reach the end, in their order.
        plain: the backbone's embeddings of all faces.
        person: whose face it is.

    Raises:
        DataError: if there is not one embedding for each face that reaches the end.
    """
    stay = np.flatnonzero(exit_index == last)
    if len(given) != len(stay):
        raise DataError(f"expected embeddings of the {len(stay)} faces that reach the end, got {len(given)}")
    return OpenSet(
        left=1 - len(stay) / len(exit_index),
        whole=verified(plain, person),
        reached=verified(given, person[stay]),
        difference=float(np.abs(given - plain[stay]).max(initial=0.0)),
    )


def verified(
    embedding: Float[np.ndarray, "faces size"], person: Int[np.ndarray, " faces"], fars: Sequence[float] = FARS
) -> Verification | None:
    """All pairs of the faces; None where there is none of one person, or none of two."""
    score, same = pairs(embedding, person)
    if same.all() or not same.any():
        return None
    few = 1 / np.sum(~same)
    tar = {far: tar_at(score, same, far) for far in fars if far >= few}
    return Verification(int(same.sum()), int((~same).sum()), auc(score, same), tar)


def pairs(
    embedding: Float[np.ndarray, "faces size"], person: Int[np.ndarray, " faces"]
) -> tuple[Float[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """The cosine of each pair of faces, and whether they are of one person; each pair once."""
    first, second = np.triu_indices(len(person), 1)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    return (unit @ unit.T)[first, second], person[first] == person[second]


def auc(score: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]) -> float:
    """Area under the ROC curve, which is Mann and Whitney's statistic.

    >>> auc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    others = np.sort(score[~same])
    below = np.searchsorted(others, score[same], "left") + np.searchsorted(others, score[same], "right")
    return float(below.mean() / 2 / len(others))


def tar_at(score: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"], far: float) -> float:
    """Share of the pairs of one person that are accepted, where the threshold lets in at most `far` of the others.

    >>> tar_at(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]), 0.1)
    0.5
    """
    others = np.sort(score[~same])[::-1]
    let_in = math.floor(far * len(others) + 1e-9)
    return 1.0 if let_in >= len(others) else float((score[same] > others[let_in]).mean())
