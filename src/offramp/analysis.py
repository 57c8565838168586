"""How bundles look from within, and how they lie to each other: what `offramp analyze` finds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from offramp.bundle import Bundle
from offramp.errors import DataError, InputError, UnknownNameError
from offramp.geometry.criterion import Criterion, criterion
from offramp.geometry.looked import Looked
from offramp.geometry.seen_around import connectivity, landscape
from offramp.geometry.seen_inside import gradients, information_profile, rank_profile
from offramp.geometry.settings import Settings
from offramp.geometry.sight import Sight, seen
from offramp.geometry.weights import Weights, check_fit, weights_of
from offramp.inputs import call, device_of, on
from offramp.kept_parts import KeptParts
from offramp.load.labels import known_labels
from offramp.load.trial import check_taken
from offramp.machine import machine
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.sources import Labels, Source
from offramp.train.exiting import Exiting
from offramp.types import INPUT

PARTS = {
    "gradients": gradients,
    "ranks": rank_profile,
    "information": information_profile,
    "landscape": landscape,
    "connectivity": connectivity,
}
"""The parts of an analysis, in the order in which they are made."""


def analyze(
    bundles: Mapping[str, Sequence[Bundle]],
    source: Source,
    *,
    parts: Sequence[str] | None = None,
    labels: bool | None = None,
    settings: Settings | None = None,
    work: Path | str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """What the bundles show on samples of a source, as JSON has it.

    Args:
        bundles: by the name of their regime one or several trainings (seeds) of it, all attached, of one architecture
            with the same exits. The first says which task it is, and its user's model what is right without labels.
        source: the data.
        parts: keys of `PARTS`; None: all.
        labels: True: they must be there; False: they are not read; None: they are used where they are.
        settings: how closely to look.
        work: folder for what is found, so that a killed analysis goes on; None: it begins anew.
        progress: told how far each part is.

    Raises:
        DataError: if the data is too little, not finite or lacks labels that were asked for.
        InputError: if a bundle is not attached, or does not fit the first one.
        UnknownNameError: if there is no such part.
    """
    chosen, wanted = settings or Settings(), list(PARTS if parts is None else parts)
    for part in wanted:
        if part not in PARTS:
            raise UnknownNameError.among("part", part, PARTS)
    found = _named(bundles)
    first = next(iter(found.values()))[1]
    rows = _rows(source, chosen)
    known = known_labels(source, labels)
    held = _held(first, source, rows, None if known is None else known[rows], chosen)
    live = _live(first)
    sight = Sight.of(live, reader(first.task), source, rows, held, chosen.batch_size)
    weights = {name: _weights(name, bundle, first) for name, (_, bundle) in found.items()}
    asked = f"{source.fingerprint()} {rows.tolist()} {held.name} {held.targets.numpy().tobytes()!r} {sight.exits}"
    kept = KeptParts(None if work is None else Path(work), asked)
    looked = Looked(sight, weights, _layers(live, chosen.layers), chosen, kept, progress)
    return {
        "task": first.task.name,
        "data": {"name": source.name, "samples": len(rows), "against": held.against, "loss": held.name},
        "settings": {**asdict(chosen), "noises": list(chosen.noises)},
        "models": [{"name": name, "group": group} for name, (group, _) in found.items()],
        "left_out": [exit_.point for exit_ in first.live.multi_exit.exits if exit_ not in live.exits],
        "parts": {part: PARTS[part](looked) for part in PARTS if part in wanted},
        "machine": machine(),
    }


def _named(bundles: Mapping[str, Sequence[Bundle]]) -> dict[str, tuple[str, Bundle]]:
    """Group and bundle by a name for each training; from the second of a group on they are numbered."""
    found = {
        group if number == 0 else f"{group} ({number + 1})": (group, bundle)
        for group, several in bundles.items()
        for number, bundle in enumerate(several)
    }
    if not found:
        raise InputError("expected at least one bundle, got none")
    return found


def _live(bundle: Bundle) -> MultiExit:
    return seen(bundle.live.multi_exit)


def _rows(source: Source, settings: Settings) -> Int[np.ndarray, " samples"]:
    if len(source) < 2:
        raise DataError(f"expected at least two samples to look at, got {len(source)} in {source.name}")
    drawn = np.random.default_rng(settings.seed).permutation(len(source))[: settings.samples]
    rows: np.ndarray = np.sort(drawn)
    return rows


def _held(
    bundle: Bundle, source: Source, rows: Int[np.ndarray, " samples"], labels: Labels | None, settings: Settings
) -> Criterion:
    """The loss, against the labels of these samples or the answers of the user's model."""
    live = bundle.live.multi_exit
    user = live.backbone.model if live.original is None else live.original
    check_taken(user, source.inputs(rows[:2]), live.backbone.example, source.name)
    logits_of, parts = reader(bundle.task), np.array_split(rows, -(-len(rows) // settings.batch_size))
    with frozen(user) as model:
        outputs: list[Float[np.ndarray, "batch outputs"]] = [
            logits_of(call(model, on(source.inputs(part), device_of(model)))).float().cpu().numpy() for part in parts
        ]
    return criterion(bundle.task, np.concatenate(outputs), labels)


def _weights(name: str, bundle: Bundle, first: Bundle) -> Weights:
    """The weights of a bundle's network, if it is one of the first one's kind."""
    live, like = _live(bundle), _live(first)
    kinds = [one.task.name.partition(":")[0] for one in (bundle, first)]
    if kinds[0] != kinds[1]:
        raise InputError(f"expected bundles of one task, {kinds[1]}, got {kinds[0]} in {name}; leave it out")
    if live.exits != like.exits:
        raise InputError(
            f"expected bundles with the same exits, {_told(like)}, got {_told(live)} in {name}; build them with "
            "the same --points and heads"
        )
    found = weights_of(Exiting(live, reader(bundle.task), together=True))
    check_fit(weights_of(Exiting(like, reader(first.task), together=True)), found, f"the bundle {name}")
    return found


def _told(live: MultiExit) -> str:
    return ", ".join(f"{exit_.head} at {exit_.point}" for exit_ in live.exits) or "none"


def _layers(live: MultiExit, most: int) -> tuple[str, ...]:
    """Names of exit points by depth: those in use, and of the others as many as there is room for, evenly."""
    used = {exit_.point for exit_ in live.exits}
    others = [point.name for point in live.backbone.points if point.name not in {*used, INPUT}]
    room = min(max(0, most - len(used)), len(others))
    spread = {others[int(place)] for place in np.linspace(0, len(others) - 1, room)} if room else set()
    return tuple(point.name for point in live.backbone.points if point.name in used | spread)
