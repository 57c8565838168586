"""From a model, data and a bundle to the alternatives: what is there is measured, what is missing is made and kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from offramp.advise.advice import Advice, advice
from offramp.advise.alternatives import Rival, called, exits, plain, rivals, rounded
from offramp.advise.contender import EXITS, INT8, INT8_EXITS, Contender
from offramp.advise.recording import Ground
from offramp.benching import Timing
from offramp.bundle import Bundle
from offramp.errors import InputError, OfframpError
from offramp.load.combine import subset
from offramp.load.labels import known_labels
from offramp.load.models import LoadedModel
from offramp.looking import is_own
from offramp.model.points import analyse
from offramp.options import Options
from offramp.pipeline import example_of
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.recipe import Recipe
from offramp.recipes import NAMES
from offramp.sources import Source
from offramp.split import Shares
from offramp.tasks.task import Task

FEW = 200
"""With fewer samples one is half a point or more."""


@dataclass(frozen=True)
class Wishes:
    """What the table is to have.

    Attributes:
        options: of a build, and so of cascades and of exits on eight bits.
        labels: True: labels must be there; False: they are not read; None: they are used where they are.
        int8: whether the model in eight bits is among the alternatives; None: where NNCF is installed and can do it.
        int8_exits: whether exits are built on it.
        timing: how time is measured; None: it is not.
    """

    options: Options
    labels: bool | None = None
    int8: bool | None = None
    int8_exits: bool = True
    timing: Timing | None = None


def advise(
    loaded: LoadedModel,
    source: Source,
    task: Task,
    bundle: Bundle | None,
    some: Sequence[Rival],
    wishes: Wishes,
    work: Path,
    progress: Progress = silent,
) -> tuple[Advice, tuple[str, ...]]:
    """What exits, smaller models, cascades and eight bits do beside the plain model, and what was left out and why.

    Args:
        loaded: the user's model.
        source: the data; on that of the bundle only its own parts choose, certify and report, on other data what
            cascades choose is chosen on a part of it.
        task: of the model.
        bundle: attached to the model; None: no exits were built yet.
        some: smaller models.
        wishes: what the table is to have.
        work: folder in which passes, the model in eight bits and its exits are kept, so that the same call goes on.
        progress: told how far it is.

    Raises:
        InputError: if a rival does not fit, or a package is missing that was asked for.
    """
    taken = [called(loaded), EXITS, INT8, INT8_EXITS, *(rival.name for rival in some)]
    if len(set(taken)) < len(taken):
        raise InputError(f"expected models with different names, got {', '.join(taken)}; name a factory for each")
    own = bundle is None or is_own(bundle, source)
    options = wishes.options
    parts = dict(bundle.splits) if bundle is not None and own else options.shares.divide(len(source), options.seed)
    backbone = analyse(loaded.model, example_of(source), reader(task), nowhere=True)
    known = known_labels(source, wishes.labels)
    labels = None if known is None else task.checked(known, backbone.classes)
    ground = Ground(backbone, task, source, parts, labels, work, own, progress)
    first, said = plain(ground, called(loaded))
    found: list[Contender] = [first]
    if bundle is not None:
        found.append(exits(ground, bundle, options))
    found += rivals(ground, loaded, said, some, options)
    notes = _doubts(bundle, options, len(parts["report"]))
    wanted = bundle is not None and find_spec("nncf") is not None if wishes.int8 is None else wishes.int8
    if wanted:
        try:
            found += rounded(ground, loaded, said, options, wishes.int8_exits)
        except OfframpError as error:
            if wishes.int8:
                raise
            notes.append(f"eight bits are left out: {error}")
    elif wishes.int8 is None and bundle is not None:
        notes.append("eight bits are left out: NNCF is not installed; pip install 'offramp[openvino]'")
    part = "the report part" if own else "a report part of other data than that of the build"
    told = advice(found, part, subset(source, parts["report"]), wishes.timing, progress)
    late = () if told.race is None else tuple(f"{what} is left out: {why}" for what, why in told.race.left_out.items())
    return told, (*notes, *late)


def _doubts(bundle: Bundle | None, options: Options, samples: int) -> list[str]:
    """What to bear in mind with the table."""
    found = []
    built = options.max_drop if bundle is None else float(bundle.manifest.goal["max_drop"])
    if options.max_drop < built:
        found.append(
            f"the points are those of a bundle built for {100 * built:g} %, not for {100 * options.max_drop:g} %; "
            f"build one with --max-drop {options.max_drop:g}"
        )
    if samples < FEW:
        found.append(f"{samples} samples of the report part are few: differences of some points mean nothing")
    return found


def options_of(bundle: Bundle, recipe: str | None = None, max_drop: float | None = None) -> Options:
    """The options of a build, as its bundle keeps them, but for a recipe and a goal that are named.

    Raises:
        InputError: if its recipe is none of those known by name, and none is named.
    """
    manifest = bundle.manifest
    made = json.loads(json.dumps(manifest.provenance["recipe"]))
    known = (name for name, one in NAMES.items() if _written(_under(one, bundle.task)) == made)
    name = recipe or next(known, None)
    if name is None:
        raise InputError("expected a bundle built by a recipe with a name, whose options are used again; give --recipe")
    shares = manifest.split.shares
    return Options(
        max_drop=manifest.goal["max_drop"] if max_drop is None else max_drop,
        delta=manifest.goal["delta"],
        shares=Shares(*(shares[part] for part in ("train", "choose", "certify", "report"))),
        recipe=name,
        labels=manifest.risk == "error",
        seed=manifest.split.seed,
        guarantee=manifest.provenance.get("guarantee", Options().guarantee),
        task=manifest.model.task,
        points=",".join(dict.fromkeys(one.point for one in manifest.exits if one.head in NAMES[name].heads)) or None,
    )


def _under(recipe: Recipe, task: Task) -> Recipe | None:
    try:
        return recipe.under(task)
    except InputError:
        return None


def _written(recipe: Recipe | None) -> object:
    return None if recipe is None else json.loads(json.dumps(asdict(recipe)))
