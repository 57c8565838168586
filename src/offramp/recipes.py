"""Papers as data: which heads, regime, gate, calibrator and searcher go together."""

from dataclasses import dataclass, field, replace

from offramp import calibrate, search, train
from offramp.errors import InputError, UnknownNameError
from offramp.model.augment import Augment
from offramp.train.fit import Schedule
from offramp.train.student import Course


@dataclass(frozen=True)
class Student:
    """A depth-pruned copy of the backbone, taught without labels, that answers before the backbone is entered.

    Attributes:
        share: MACs of the copy as a share of the backbone's, at most.
        course: how long and how fast it is taught.
    """

    share: float = 0.22
    course: Course = field(default_factory=Course)


@dataclass(frozen=True)
class Recipe:
    """One choice along every axis.

    Attributes:
        heads: head types tried at every point, by name.
        points: at most so many exit points, spread evenly over the cost.
        regime: how heads are trained, by name.
        augment: label-free augmentation of the training part; images only.
        schedule: how long and how fast heads are trained.
        gate: how safe it is to stop, by name.
        calibrator: what makes scores of different exits comparable, by name.
        searcher: what chooses exits and thresholds, by name.
        source: where the recipe comes from.
        student: a smaller copy of the backbone as a head at the input; None: none.
    """

    heads: tuple[str, ...]
    points: int
    regime: str
    augment: Augment
    schedule: Schedule
    gate: str
    calibrator: str
    searcher: str
    source: str
    student: Student | None = None

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("regime", self.regime, train.NAMES),
            ("calibrator", self.calibrator, calibrate.NAMES),
            ("searcher", self.searcher, search.NAMES),
        ):
            if name not in known:
                raise UnknownNameError.among(kind, name, known)
        if self.student is not None and isinstance(train.NAMES[self.regime], train.Bilevel):
            raise InputError(
                f"expected no student where gates learn with the heads (regime {self.regime!r}); leave it out"
            )


_DEFAULT = Recipe(
    heads=("grid-mlp",),
    points=10,
    regime="distil",
    augment=Augment(copies=16, mix=0.5),
    schedule=Schedule(least_steps=1000),
    gate="max-prob",
    calibrator="temperature",
    searcher="shared",
    source="offramp's own: grid heads, distillation at T = 2, one shared threshold on the calibrated confidence",
)

NAMES: dict[str, Recipe] = {
    "default": _DEFAULT,
    "labels": replace(
        _DEFAULT,
        regime="disjoint",
        source="the default with cross-entropy on labels (disjoint regime, Kubaty et al. 2025)",
    ),
    "selfxit": replace(
        _DEFAULT,
        heads=("pooled-mlp",),
        points=4,
        augment=Augment(copies=0),
        regime="selfxit",
        searcher="tolerance",
        source="SelfXit: KL at T = 1, budgets T/2^n, subset score K(S); pooled heads, no NAS",
    ),
    "student": replace(
        _DEFAULT,
        points=6,
        student=Student(),
        source="offramp's own: the default behind a depth-pruned copy of the backbone, distilled at T = 3",
    ),
    "quick": replace(
        _DEFAULT,
        points=6,
        augment=Augment(copies=0),
        schedule=Schedule(epochs=15),
        source="the default without augmentation, for trying things out",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownNameError: listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError.among("recipe", name, NAMES)
    return NAMES[name]
