"""The alternatives: the plain model, exits, smaller models, cascades, eight bits, and eight bits with exits."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offramp import search
from offramp.advise.contender import (
    CASCADE,
    CHOSEN,
    EXITS,
    INT8,
    INT8_EXITS,
    PLAIN,
    STATIC,
    Contender,
    Way,
)
from offramp.advise.expected import cheapest
from offramp.advise.recording import USED, Ground, against, uncut
from offramp.bundle import MANIFEST, Bundle
from offramp.confidence import Said
from offramp.deciding import Decided, Wish, allowance, decide, decide_by, table
from offramp.gates import gate
from offramp.heads.network import Answers
from offramp.kept import FULL
from offramp.learning import attach, check_small
from offramp.live import Live
from offramp.load.combine import subset
from offramp.load.models import LoadedModel
from offramp.load.quantised import SAMPLES, quantised
from offramp.load.small import entry_of
from offramp.load.weights import load_weights, save_weights
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import analyse
from offramp.options import Options
from offramp.pipeline import build
from offramp.reading import reader
from offramp.types import Configuration

TOLD = ("careful", "balanced", "fast", "fastest")
"""Operating points that are told of by name."""


@dataclass(frozen=True, eq=False)
class Rival:
    """A smaller model, to be run alone and before the user's.

    Attributes:
        name: how it is called.
        loaded: the model.
    """

    name: str
    loaded: LoadedModel


def called(loaded: LoadedModel) -> str:
    """What a model is called in a table: the last word of how it was asked for, else its class.

    >>> from torch import nn
    >>> called(LoadedModel(nn.Flatten(), "nets.py:resnet20", None)), called(LoadedModel(nn.Flatten(), None, None))
    ('resnet20', 'Flatten')
    """
    return Path((loaded.spec or "").rpartition(":")[2]).name or type(loaded.model).__name__


def plain(ground: Ground, name: str) -> tuple[Contender, dict[str, Recording]]:
    """The user's model, and what it says."""
    model = uncut(ground.backbone)
    recordings = ground.recorded(model, name)
    return _alone(ground, model, name, PLAIN, recordings), recordings


def rivals(
    ground: Ground, loaded: LoadedModel, said: Mapping[str, Recording], some: Sequence[Rival], wish: Options
) -> list[Contender]:
    """Each rival alone, and before the user's model where it is smaller.

    Args:
        ground: what all share.
        loaded: the user's model.
        said: by the user's model.
        some: the rivals.
        wish: of the build; a cascade is chosen and certified as the recipe `cascade` does with these.

    Raises:
        InputError: if one does not take what the user's model takes, or has other classes.
    """
    found = []
    for rival in some:
        check_small(replace(wish, recipe="cascade", task=None).chosen(), True, ground.task)
        entry = entry_of(rival.loaded, loaded.preprocess, ground.backbone, reader(ground.task))
        assert isinstance(entry.reduction, Answers)
        network = analyse(entry.reduction.network, ground.backbone.example, reader(ground.task), nowhere=True)
        alone = uncut(network)
        recordings = ground.recorded(alone, rival.name)
        found.append(_alone(ground, alone, rival.name, STATIC, against(recordings, said)))
        if network.macs >= ground.backbone.macs:
            continue
        options = replace(wish, recipe="cascade", points=None, labels=False, search_heads=0, task=ground.task.name)
        both = attach(ground.backbone, (), options, reader(ground.task), small=entry)
        outputs = {
            part: Recording(np.stack([recordings[part].outputs[-1], said[part].outputs[-1]]), part) for part in USED
        }
        decided = decide(both, outputs, ground.task, None, ground.parts, options)
        live = Live(both, reader(ground.task), decided.gate, decided.calibrators, ground.task.means.parts)
        name = f"{rival.name} > {called(loaded)}"
        found.append(_family(ground, live, name, CASCADE, outputs, _named(decided), wish, options.chosen().searcher))
    return found


def exits(ground: Ground, bundle: Bundle, wish: Options) -> Contender:
    """The operating points of a bundle that is attached."""
    live = bundle.live
    recordings = ground.recorded(live.multi_exit, EXITS, USED if ground.own else ("report",))
    meant = {name: bundle.point(name) for name in TOLD}
    named = {name: Way(point.name, point.configuration, point.bound) for name, point in meant.items()}
    path = tuple(point.configuration for point in sorted(bundle.points, key=lambda point: -point.cost))
    searcher = _searcher(bundle) if ground.own else None
    return _family(ground, live, EXITS, EXITS, recordings, named, wish, searcher, path)


def _searcher(bundle: Bundle) -> str:
    return str(bundle.manifest.provenance["recipe"]["searcher"])


def _named(decided: Decided) -> dict[str, Way]:
    points = {point.name: Way(point.name, point.configuration, point.bound) for point in decided.points}
    return {name: points[decided.aliases.get(name, name)] for name in TOLD}


def rounded(
    ground: Ground, loaded: LoadedModel, said: Mapping[str, Recording], wish: Options, build_exits: bool
) -> list[Contender]:
    """The user's model in eight bits, and exits that are built on it with the same options.

    Raises:
        InputError: if NNCF is not installed.
        CaptureError: if the model cannot be quantised.
    """
    asked = ground.asked(loaded.model)
    kept = ground.work / f"int8-{asked}.safetensors"
    if not kept.exists():
        made = quantised(loaded.model, subset(ground.source, ground.parts["train"]), samples=SAMPLES)
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_weights(made, kept)
    model = copy.deepcopy(loaded.model)
    load_weights(model, kept)
    model.eval()
    backbone = analyse(model, ground.backbone.example, reader(ground.task))
    alone = uncut(backbone)
    recordings = against(ground.recorded(alone, INT8), said)
    found = [_alone(ground, alone, INT8, INT8, recordings)]
    if build_exits:
        found.append(_rounded_exits(ground, _on_int8(ground, replace(loaded, model=model), wish, asked), said, wish))
    return found


def _rounded_exits(ground: Ground, bundle: Bundle, said: Mapping[str, Recording], wish: Options) -> Contender:
    """Exits on eight bits, chosen and certified anew against the user's model, which rounding has left already."""
    live, searcher = bundle.live, _searcher(bundle)
    recordings, macs = against(ground.recorded(live.multi_exit, INT8_EXITS), said), live.multi_exit.macs(live.gate)
    asked = Wish(live.gate, searcher, wish.max_drop, wish.delta, wish.keep, wish.guarantee)
    decided = decide_by(macs, macs, recordings, ground.task, None, live.calibrators, asked)
    return _family(ground, live, INT8_EXITS, INT8_EXITS, recordings, _named(decided), wish, searcher)


def _on_int8(ground: Ground, loaded: LoadedModel, wish: Options, asked: str) -> Bundle:
    """Exits built on eight bits, or those that an earlier call built of the same with the same options."""
    options = replace(wish, timed=(), task=ground.task.name)
    folder = ground.work / f"int8-{asked}-{hashlib.sha256(repr(options).encode()).hexdigest()[:12]}"
    if (folder / MANIFEST).exists():
        return Bundle.load(folder).attach(loaded.model)
    return build(loaded, ground.source, out=folder, options=options, progress=ground.progress)


def _alone(ground: Ground, model: MultiExit, name: str, kind: str, recordings: Mapping[str, Recording]) -> Contender:
    live = Live(model, reader(ground.task), gate("max-prob"), (), ground.task.means.parts)
    whole = Configuration((), ())
    return Contender(name, kind, live, _said(ground, live, recordings["report"]), None, (whole,), (Way("", whole),))


def _said(ground: Ground, live: Live, recording: Recording) -> Said:
    macs, labels = live.multi_exit.macs(live.gate), ground.labels_of("report")
    return Said.of(recording, ground.task, live.gate, live.calibrators, macs, labels)


def _family(
    ground: Ground,
    live: Live,
    name: str,
    kind: str,
    recordings: Mapping[str, Recording],
    named: Mapping[str, Way],
    wish: Options,
    searcher: str | None,
    path: tuple[Configuration, ...] = (),
) -> Contender:
    """A family with a scalar, fixed on the choose part where that chose nothing else; else `path`."""
    choose, ways = None, list(dict.fromkeys(way for way in named.values() if way.name != FULL))
    if searcher is not None:
        choose = table(recordings["choose"], ground.task, live.gate, live.calibrators, live.multi_exit.macs(live.gate))
        own = replace(choose, reference=None)
        path = tuple(search.NAMES[searcher]().search(own, allowance(choose, wish.max_drop)))
        picked = cheapest(choose, path, wish.max_drop)
        if any(picked.enabled):
            ways.insert(0, Way(CHOSEN, picked))
    report = _said(ground, live, recordings["report"])
    return Contender(name, kind, live, report, choose, path, tuple(ways))
