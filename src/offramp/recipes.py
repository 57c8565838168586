"""Papers as data."""

from dataclasses import replace

from offramp.errors import UnknownNameError
from offramp.model.augment import Augment
from offramp.recipe import HeadSearch, Recipe, Student
from offramp.train.finetuning import Finetuning
from offramp.train.fit import Schedule

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

_TRAINED = replace(
    _PLAIN,
    heads=("sdn",),
    points=6,
    calibrator="none",
    trunk=Finetuning(),
    labels=True,
    regime="joint",
    cites=("regimes",),
)

NAMES: dict[str, Recipe] = {
    "offramp": replace(
        _HEADS,
        students=(Student(share=0.2, depth=0.04),),
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
    "selfxit-nas": replace(
        _PLAIN,
        heads=("pooled-mlp",),
        points=8,
        regime="selfxit",
        searcher="tolerance",
        head_search=HeadSearch(),
        source="SelfXit with its search for heads: the saving of each alone at its budget, then the subset score K(S)",
        cites=("selfxit", "optuna"),
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
    "branchynet": replace(
        _TRAINED,
        heads=("conv-fc256",),
        points=4,
        regime="branchynet",
        gate="entropy",
        source="BranchyNet: trunk and branches learn together, each exit counted once (Teerapittayanon et al. 2016)",
        cites=("branchynet",),
    ),
    "sdn-joint": replace(
        _TRAINED,
        regime="sdn",
        source="SDN training: six heads counted more and more up to their share of the cost (Kaya et al. 2019)",
        cites=("sdn",),
    ),
    "pabee": replace(
        _TRAINED,
        heads=("pooled-linear",),
        points=10,
        regime="pabee",
        gate="patience",
        source="PABEE: backbone and heads learn together, deeper exits counted more; patience (Zhou et al. 2020)",
        cites=("pabee",),
    ),
    "disjoint": replace(
        _TRAINED,
        regime="disjoint",
        source="disjoint: the pretrained backbone alone, then heads; six with SDN's pooling (Kubaty et al. 2025)",
    ),
    "joint": replace(
        _TRAINED,
        source="joint: a pretrained backbone and its heads at once; six with SDN's pooling (Kubaty et al. 2025)",
    ),
    "mixed": replace(
        _TRAINED,
        regime="mixed",
        source="mixed: the pretrained backbone alone, then with heads; six with SDN's pooling (Kubaty et al. 2025)",
    ),
    "student": replace(
        _HEADS,
        points=6,
        students=(Student(),),
        cites=("tinysaver", "distillation"),
        source="offramp's own: grid heads behind a depth-pruned copy of the backbone, distilled at T = 6",
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
