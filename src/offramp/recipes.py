"""Papers as data: which heads, regime, gate, calibrator and searcher go together."""

from dataclasses import dataclass, field, replace

from offramp import calibrate, gates, search, train
from offramp.errors import InputError, UnknownNameError
from offramp.heads import head_type
from offramp.model.augment import Augment
from offramp.train.fit import Schedule
from offramp.train.student import Course


@dataclass(frozen=True)
class Student:
    """A depth-pruned copy of the backbone, taught without labels.

    At the input it answers before the backbone is entered. Further in it is a branch: a copy of the rest of the
    backbone that goes on from the feature in fewer blocks. A branch is left out where the model has none: left by
    hooks, or nothing to prune.

    Attributes:
        share: MACs of the copy as a share of the backbone's, at most.
        depth: it starts at the exit point nearest to this share of the backbone's MACs; 0: at the input.
        course: how long and how fast it is taught.
    """

    share: float = 0.22
    depth: float = 0.0
    course: Course = field(default_factory=Course)


@dataclass(frozen=True)
class Recipe:
    """One choice along every axis.

    Attributes:
        heads: head types tried at every point, by name.
        points: at most so many exit points, spread evenly over the cost; with 0, and no student, a small model of the
            user's is needed.
        regime: how heads are trained, by name.
        augment: label-free augmentation of the training part; images only.
        schedule: how long and how fast heads are trained.
        gate: how safe it is to stop, by name.
        calibrator: what makes scores of different exits comparable, by name.
        searcher: what chooses exits and thresholds, by name.
        source: where the recipe comes from.
        students: smaller copies of the backbone as heads, at the input or further in.
        labels: whether the paper's recipe reads labels, to train or to search; without them it may not be what it is.
        bilevel: settings of heads that learn with gates; None: those of the regime.
        cites: keys of the works it comes from, see `citations.WORKS`.
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
    labels: bool = False
    bilevel: train.Bilevel | None = None
    cites: tuple[str, ...] = ("distillation",)

    @property
    def needs_small(self) -> bool:
        """Whether there is nothing to leave by without a small model of the user's, which answers first."""
        return self.points == 0 and not self.students

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("regime", self.regime, train.NAMES),
            ("gate", self.gate, gates.NAMES),
            ("calibrator", self.calibrator, calibrate.NAMES),
            ("searcher", self.searcher, search.NAMES),
        ):
            if name not in known:
                raise UnknownNameError.among(kind, name, known)
        if self.bilevel is not None and not isinstance(train.NAMES[self.regime], train.Bilevel):
            raise InputError(f"expected bilevel settings with a bilevel regime, got the regime {self.regime!r}")
        for head in self.heads:
            head_type(head)
        if self.gate == "jei" and not isinstance(train.NAMES[self.regime], train.Bilevel):
            able = ", ".join(name for name, regime in train.NAMES.items() if isinstance(regime, train.Bilevel))
            raise InputError(
                f"expected the gate 'jei' with a regime that trains it ({able}), got the regime {self.regime!r}"
            )
        _check_hearing(self)
        if self.students and isinstance(train.NAMES[self.regime], train.Bilevel):
            raise InputError(
                f"expected no student where gates learn with the heads (regime {self.regime!r}); leave it out"
            )

    @property
    def training(self) -> train.Regime | train.Bilevel:
        """The regime with its settings."""
        return self.bilevel or train.NAMES[self.regime]


def _check_hearing(chosen: Recipe) -> None:
    """Refuses what heads that hear each other cannot go with."""
    if not any(head_type(name).hears for name in chosen.heads):
        return
    gated = isinstance(train.NAMES[chosen.regime], train.Bilevel)
    if len(chosen.heads) > 1 or chosen.students or gated or chosen.searcher != "shared":
        raise InputError(
            f"expected one kind of head where heads hear each other (got {', '.join(chosen.heads)}), the searcher "
            f"shared, which leaves them all on (got {chosen.searcher}), no student, and no gates that learn with the "
            f"heads (regime {chosen.regime})"
        )


_HEADS = Recipe(
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

_PLAIN = replace(_HEADS, augment=Augment(copies=0))

NAMES: dict[str, Recipe] = {
    "offramp": replace(
        _HEADS,
        students=(Student(share=0.2, depth=0.04, course=Course(seen=510_000, most_macs=6e13)),),
        cites=("tinysaver", "distillation"),
        source="offramp's own: grid heads, and a branch of the backbone's own blocks, distilled without labels",
    ),
    "heads-only": _HEADS,
    "labels": replace(
        _HEADS,
        regime="disjoint",
        labels=True,
        source="heads-only with cross-entropy on labels (disjoint regime, Kubaty et al. 2025)",
        cites=("regimes",),
    ),
    "selfxit": replace(
        _PLAIN,
        heads=("pooled-mlp",),
        points=4,
        regime="selfxit",
        searcher="tolerance",
        source="SelfXit: KL at T = 1, budgets T/2^n, subset score K(S); pooled heads, no NAS",
        cites=("selfxit",),
    ),
    "selfxit-flatten": replace(
        _PLAIN,
        heads=("flatten-fc256",),
        points=4,
        regime="selfxit",
        searcher="tolerance",
        source="SelfXit with the heads of its released configuration, which look at the whole feature",
        cites=("selfxit",),
    ),
    "dyce": replace(
        _PLAIN,
        heads=("pooled-linear", "mlp3x500"),
        regime="selfxit",
        calibrator="none",
        searcher="dyce-iterative",
        labels=True,
        source="DyCE: soft cross-entropy, the head types of its example, iterative search on labels (Wang et al. 2024)",
        cites=("dyce",),
    ),
    "dyce-labelfree": replace(
        _PLAIN,
        heads=("pooled-linear", "mlp3x500"),
        regime="selfxit",
        calibrator="none",
        searcher="dyce-iterative",
        source="DyCE with agreement in the place of accuracy",
        cites=("dyce",),
    ),
    "jei-dnn": replace(
        _PLAIN,
        heads=("pooled-linear",),
        regime="jei",
        gate="jei",
        calibrator="none",
        labels=True,
        source="JEI-DNN: linear heads and gates learn in turns (Regol et al. 2024); thresholds make a curve",
        cites=("jei-dnn",),
    ),
    "branchynet-frozen": replace(
        _PLAIN,
        heads=("conv-fc256",),
        points=4,
        regime="disjoint",
        gate="entropy",
        calibrator="none",
        labels=True,
        source="BranchyNet's heads and entropy rule on a frozen backbone (Teerapittayanon et al. 2016)",
        cites=("branchynet", "selfxit"),
    ),
    "gati": replace(
        _PLAIN,
        heads=("gati-fc",),
        points=4,
        regime="gati",
        gate="gati",
        calibrator="none",
        source="GATI: FC predictors and a learned selector, held to the backbone's class (Balasubramanian et al. 2021)",
        cites=("gati",),
    ),
    "sdn": replace(
        _PLAIN,
        heads=("sdn",),
        points=6,
        regime="disjoint",
        calibrator="none",
        labels=True,
        source="SDN, IC-only: six heads with learned pooling on a frozen backbone (Kaya et al. 2019)",
        cites=("sdn",),
    ),
    "ztw": replace(
        _PLAIN,
        heads=("ztw",),
        points=6,
        regime="disjoint",
        calibrator="none",
        labels=True,
        source="Zero Time Waste: cascaded SDN heads and geometric ensembles on a frozen backbone (Wołczyk et al. 2021)",
        cites=("ztw",),
    ),
    "ztw-labelfree": replace(
        _PLAIN,
        heads=("ztw",),
        points=6,
        regime="selfxit",
        calibrator="none",
        source="Zero Time Waste held to the backbone's answers: KL at T = 1, ensembles fitted to its classes",
        cites=("ztw",),
    ),
    "eenet-shares": replace(
        _PLAIN,
        heads=("pooled-mlp",),
        searcher="shares-optimised",
        source="thresholds from exit shares, as EENet sets them (Ilhan et al. 2024); shares are searched",
        cites=("eenet",),
    ),
    "pabee-frozen": replace(
        _PLAIN,
        heads=("pooled-linear",),
        regime="disjoint",
        gate="patience",
        calibrator="none",
        labels=True,
        source="PABEE's patience on a frozen backbone (Zhou et al. 2020)",
        cites=("pabee",),
    ),
    "student": replace(
        _HEADS,
        points=6,
        students=(Student(),),
        cites=("tinysaver", "distillation"),
        source="offramp's own: grid heads behind a depth-pruned copy of the backbone, distilled at T = 3",
    ),
    "cascade": replace(
        _HEADS,
        points=0,
        cites=("tinysaver", "committees"),
        source="two-model cascade: a small model of the user's answers first (TinySaver, Wang et al. 2024)",
    ),
    "quick": replace(
        _PLAIN,
        points=6,
        schedule=Schedule(epochs=15),
        source="heads-only without augmentation, for trying things out",
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
