"""Presence: what a picture shows, as far as a detector says it (SelfXit, section 3.5).

An exit of a detector gives no boxes. It gives one distribution per picture, early enough for a warning; a picture that
does not leave early has the detector's full result.
"""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Int, Num
from offramp.errors import InputError
from offramp.tasks.binary import area_under_curve
from offramp.tasks.classes import OfClasses, class_labels, named, softmax

PRESENT = "present"
"""The strategy that asks for one class."""

STRATEGIES = {
    PRESENT: "whether an object of one class is there: the most certain detection of that class (a)",
    "top": "what the most certain object of any class is (b)",
    "all": "what all objects are: the mean over detections (c)",
}
"""How SelfXit makes a target of detections; it keeps (b), on which it reports, and tells of the others in words."""


@dataclass(frozen=True)
class Detection(OfClasses):
    """Which object a picture shows: 0 for none; with `present` 1 where it is there, else 1 + the class of the object.

    Attributes:
        strategy: how detections become one distribution; see `STRATEGIES`.
        label: the class that is asked for, as the detector counts, with `present`.
        at: scores of detections from this on count as objects.
    """

    strategy: str = "top"
    label: int | None = None
    at: float = 0.5

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES or (self.strategy == PRESENT) == (self.label is None):
            raise InputError(
                "expected detection:present:CLASS, detection:top or detection:all, each perhaps with the score from "
                f"which on a detection counts (detection:present:0:0.65), got {self.name!r}"
            )
        if not 0.0 < self.at < 1.0:
            raise InputError(f"expected a score in (0, 1) from which on a detection counts, got {self.at}")

    @classmethod
    def of(cls, settings: str | None) -> "Detection":
        """The task of the settings behind the colon of its name; None: what the most certain object is.

        >>> Detection.of("present:0:0.65")
        Detection(strategy='present', label=0, at=0.65)
        """
        strategy, *rest = settings.split(":") if settings else ["top"]
        wanted = rest[: strategy == PRESENT], rest[strategy == PRESENT :]
        try:
            label = int(wanted[0][0]) if wanted[0] else None
            (at,) = map(float, wanted[1] or ["0.5"])
        except ValueError:
            raise InputError(
                f"expected detection:present:CLASS[:SCORE], detection:top[:SCORE] or detection:all[:SCORE], with a "
                f"class as its number, got {settings!r}"
            ) from None
        return cls(strategy, label, at)

    @property
    def name(self) -> str:
        """`detection:STRATEGY`, the class, and the score where it is not 1/2."""
        parts = ["detection", self.strategy, self.label, None if self.at == 0.5 else f"{self.at:g}"]
        return ":".join(str(part) for part in parts if part is not None)

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Int[np.ndarray, " samples"]:
        """Numbers as `predict` gives them: 0 for no object.

        Raises:
            DataError: if there are others.
        """
        return class_labels(labels, outputs, "give one number, 0 for no object; a detector's boxes are no labels here")

    def measures(
        self,
        output: Float[np.ndarray, "samples classes"],
        reference: Float[np.ndarray, "samples classes"],
        labels: Num[np.ndarray, " samples"] | None,
    ) -> dict[str, float]:
        """Alarms held against the labels, or else against the detector.

        `misses` is the share of pictures with an object of which none is told; `false_alarms` the share of those
        without one of which one is told; `f1` that of telling it; with `present` also `auc`. Not a number where there
        is no such picture.
        """
        there = named(reference) > 0 if labels is None else labels > 0
        found = alarms(named(output) > 0, there)
        if self.strategy == PRESENT:
            found["auc"] = area_under_curve(softmax(output)[:, 1], there.astype(np.int64))
        return found

    def strata(self, reference: Float[np.ndarray, "samples classes"]) -> dict[str, Bool[np.ndarray, " samples"]]:
        """Pictures in which the detector sees an object, where disagreement is a miss, and those in which it sees none.

        With `present` only: of several classes a disagreement may also be another class.
        """
        if self.strategy != PRESENT:
            return {}
        there = named(reference) > 0
        return {"misses": there, "false alarms": ~there}

    def told(self, output: Float[np.ndarray, "samples classes"]) -> dict[str, np.ndarray]:
        """`label`, as `predict` has it, and `probability` of any object."""
        return {"label": named(output), "probability": (1.0 - softmax(output)[:, 0]).astype(np.float32)}


def alarms(told: Bool[np.ndarray, " samples"], there: Bool[np.ndarray, " samples"]) -> dict[str, float]:
    """Misses, false alarms and F1 of telling that something is there.

    Example:
        >>> found = alarms(np.array([True, False, True, False]), np.array([True, True, False, False]))
        >>> found["misses"], found["false_alarms"], found["f1"]
        (0.5, 0.5, 0.5)
    """
    hits, missed, wrong = int((told & there).sum()), int((~told & there).sum()), int((told & ~there).sum())
    absent, either = int((~there).sum()), 2 * hits + missed + wrong
    return {
        "misses": missed / (hits + missed) if hits + missed else float("nan"),
        "false_alarms": wrong / absent if absent else float("nan"),
        "f1": 2 * hits / either if either else float("nan"),
    }
