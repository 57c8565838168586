"""What a recipe says: which heads, regime, gate, calibrator and searcher go together."""

from dataclasses import dataclass, field, replace

from offramp import calibrate, gates, search, train
from offramp.errors import InputError, UnknownNameError
from offramp.heads import head_type
from offramp.heads.space import HeadSpace
from offramp.model.augment import Augment
from offramp.tasks.task import Task
from offramp.train.course import Course
from offramp.train.finetuning import Finetuning
from offramp.train.fit import Schedule


@dataclass(frozen=True)
class Student:
    """A depth-pruned copy of the backbone, taught without labels.

    At the input it answers before the backbone is entered. Further in it is a branch: a copy of the rest of the
    backbone that goes on from the feature in fewer blocks. A branch is left out where the model has none: left by
    hooks, or nothing to prune.

    Attributes:
        share: MACs of the copy as a share of the backbone's, at most.
        depth: it starts at the exit point nearest to this share of the backbone's MACs; 0: at the input.
        course: how long and how fast it is taught; None: as suits a network of its kind (`train.course.course_for`).
        blocks: where fewer of the backbone's blocks are within `share`, a student at the input keeps this many, or what
            `most` allows.
        most: share of the MACs that it may have then, or where even the smallest copy is above `share`.
    """

    share: float = 0.22
    depth: float = 0.0
    course: Course | None = None
    blocks: int = 2
    most: float = 0.5


@dataclass(frozen=True)
class HeadSearch:
    """A search for the head of each point, on cached features of the training part (SelfXit's NAS).

    Attributes:
        trials: heads tried at each point; the recipe's own come first.
        space: what is tried.
        schedule: how long and how fast a head is trained in a trial.
        judged: share of the samples on which heads are judged; the others train them.
        samples: of the training part that take part, at most.
    """

    trials: int = 30
    space: HeadSpace = field(default_factory=HeadSpace)
    schedule: Schedule = field(
        default_factory=lambda: Schedule(epochs=6, most_steps=250, batch_size=64, learning_rate=2e-3, average=0.98)
    )
    judged: float = 0.3
    samples: int = 5000

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"expected at least 1 trial for each point, got {self.trials}")
        if not 0.0 < self.judged < 1.0:
            raise InputError(f"expected a share of the samples in (0, 1) to judge heads on, got {self.judged}")


@dataclass(frozen=True)
class Recipe:
    """One choice along every axis.

    Attributes:
        heads: head types tried at every point, by name.
        points: at most so many exit points, spread evenly over the cost; with 0, and no student, a small model of the
            user's is needed.
        regime: how heads are trained, by name; one of `train.TRUNK` where the backbone learns with them.
        augment: label-free augmentation of the training part; images only.
        schedule: how long and how fast heads are trained.
        gate: how safe it is to stop, by name.
        calibrator: what makes scores of different exits comparable, by name.
        searcher: what chooses exits and thresholds, by name.
        source: where the recipe comes from.
        students: smaller copies of the backbone as heads, at the input or further in.
        trunk: how the backbone learns with its heads, which are then trained no further; None: it is left as it is.
        labels: whether the paper's recipe reads labels, to train or to search; without them it may not be what it is.
        bilevel: settings of heads that learn with gates; None: those of the regime.
        cites: keys of the works it comes from, see `citations.WORKS`.
        head_search: how the head of each point is searched for; None: `heads` are what every point gets.
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
    students: tuple[Student, ...] = ()
    trunk: Finetuning | None = None
    labels: bool = False
    bilevel: train.Bilevel | None = None
    cites: tuple[str, ...] = ("distillation",)
    head_search: HeadSearch | None = None

    @property
    def needs_small(self) -> bool:
        """Whether there is nothing to leave by without a small model of the user's, which answers first."""
        return self.points == 0 and not self.students

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("regime", self.regime, train.NAMES if self.trunk is None else train.TRUNK),
            ("gate", self.gate, gates.NAMES),
            ("calibrator", self.calibrator, calibrate.NAMES),
            ("searcher", self.searcher, search.NAMES),
        ):
            if name not in known:
                raise UnknownNameError.among(kind, name, known)
        if self.bilevel is not None and not self.learns_gates:
            raise InputError(f"expected bilevel settings with a bilevel regime, got the regime {self.regime!r}")
        for head in self.heads:
            head_type(head)
        if self.gate == "jei" and not self.learns_gates:
            able = ", ".join(name for name, regime in train.NAMES.items() if isinstance(regime, train.Bilevel))
            raise InputError(
                f"expected the gate 'jei' with a regime that trains it ({able}), got the regime {self.regime!r}"
            )
        _check_hearing(self)
        _check_search(self)
        if self.students and (self.learns_gates or self.trunk is not None):
            raise InputError(
                f"expected no student where gates or the backbone learn with the heads (regime {self.regime!r}); "
                "leave it out"
            )

    def under(self, task: Task) -> "Recipe":
        """What this recipe, which is written for classes, is for a task.

        Raises:
            InputError: if it is nothing for that task.
        """
        means = task.means
        if means.classes:
            return self
        if self.hears:
            raise InputError(
                f"expected heads that answer alone for the task {task.name}, got {', '.join(self.heads)}; use the "
                "recipe heads-only"
            )
        if self.trunk is not None:
            raise InputError(
                f"expected a recipe that leaves the backbone as it is for the task {task.name}, got the regime "
                f"{self.regime!r}, which trains it; use the recipe heads-only"
            )
        return replace(
            self,
            regime=means.name("regime", self.regime),
            gate=means.name("gate", self.gate),
            calibrator=means.name("calibrator", self.calibrator),
            students=(),
        )

    @property
    def learns_gates(self) -> bool:
        """Whether gates learn with the heads."""
        return self.trunk is None and isinstance(train.NAMES[self.regime], train.Bilevel)

    @property
    def hears(self) -> bool:
        """Whether heads hear each other."""
        return any(head_type(name).hears for name in self.heads)

    @property
    def training(self) -> train.Regime | train.Bilevel:
        """The regime with its settings, where the backbone is left as it is."""
        return self.bilevel or train.NAMES[self.regime]

    @property
    def needs_labels(self) -> bool:
        """Whether heads learn from labels."""
        return self.training.needs_labels if self.trunk is None else self.trunk.like.loss.needs_labels


def _check_hearing(chosen: Recipe) -> None:
    """Refuses what heads that hear each other cannot go with."""
    if not chosen.hears:
        return
    if chosen.trunk is not None:
        raise InputError(
            f"expected heads that answer alone where the backbone learns, got {', '.join(chosen.heads)}; use sdn"
        )
    if len(chosen.heads) > 1 or chosen.students or chosen.learns_gates or chosen.searcher != "shared":
        raise InputError(
            f"expected one kind of head where heads hear each other (got {', '.join(chosen.heads)}), the searcher "
            f"shared, which leaves them all on (got {chosen.searcher}), no student, and no gates that learn with the "
            f"heads (regime {chosen.regime})"
        )


def _check_search(chosen: Recipe) -> None:
    """Refuses what a search for heads cannot go with: it tries one head at a time, on a backbone that stays."""
    if chosen.head_search is None:
        return
    if gates.gate(chosen.gate).rule != "direct":
        raise InputError(
            f"expected a gate that looks at one exit alone where heads are searched for, got {chosen.gate!r}; "
            "leave out the search (--search-heads), or choose another gate"
        )
    if chosen.trunk is not None or chosen.hears or chosen.learns_gates:
        raise InputError(
            "expected a recipe that leaves the backbone as it is, and heads that learn and answer alone, where heads "
            f"are searched for, got the regime {chosen.regime!r} with {', '.join(chosen.heads)}; leave out the search "
            "(--search-heads), or choose another recipe"
        )
