"""One build on the stream of faces, and what it does on pictures that it did not see."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import offramp
from benchmarks.faces.classifier import said
from benchmarks.faces.copies import Changes, copied
from benchmarks.faces.orl import PREPROCESS, Faces
from benchmarks.faces.protocol import COPIES, Stream, stream_of, with_copies
from benchmarks.faces.verification import open_set
from benchmarks.fronts import cost_within
from offramp.benching import bench
from offramp.bundle import MANIFEST, Bundle
from offramp.evaluation import Evaluation
from offramp.load.models import LoadedModel
from offramp.sources import Source

NAMED = ("careful", "balanced", "fast", "fastest")
"""Operating points that every bundle has."""

LAYOUTS = {
    "pictures": "pictures alone; the recipe makes copies for training by itself",
    "extra": "copies of the training part's pictures as extra data",
    "copies": "copies of the pictures of the parts train and choose as rows",
}
"""How copies get into a build."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One build.

    Attributes:
        loaded: an `Identifier`.
        identities: how many subjects it knows.
        faces: all of ORL.
        layout: one of `LAYOUTS`.
        recipe: by name.
        seed: of the build and of the copies.
        config: what all builds have in common.
        out: folder of the bundle.
    """

    loaded: LoadedModel
    identities: int
    faces: Faces
    layout: str
    recipe: str
    seed: int
    config: dict[str, Any]
    out: Path

    @property
    def told(self) -> dict[str, Any]:
        """What tells it from the others."""
        return {"layout": self.layout, "recipe": self.recipe, "seed": self.seed}


def built(trial: Trial) -> tuple[Bundle, Stream]:
    """A bundle, built unless it was before, and the stream it was built from."""
    seed, config = trial.seed, trial.config
    copies = COPIES if trial.layout == "copies" else dict.fromkeys(COPIES, 0)
    stream = stream_of(trial.faces, copies, Changes(), seed, trial.identities)
    if (trial.out / MANIFEST).exists():
        return Bundle.load(trial.out).attach(trial.loaded.model), stream
    extra = []
    if trial.layout == "extra":
        rows = stream.parts()["train"]
        some = copied(stream.faces.at(rows), stream.picture[rows], COPIES["train"], Changes(), seed)
        extra = [some.pictures]
    bundle = offramp.build(
        trial.loaded,
        stream.faces.pictures,
        out=trial.out,
        extra_data=extra,
        max_drop=config["max_drop"],
        delta=config["delta"],
        seed=seed,
        shares=stream.shares,
        keep=config["points_kept"],
        recipe=trial.recipe,
    )
    return bundle, stream


def closed(trial: Trial) -> dict[str, Any]:
    """Identities: cost, agreement and accuracy on the report part's pictures, and on these and copies of them."""
    seed, config = trial.seed, trial.config
    bundle, stream = built(trial)
    rows = stream.parts()["report"]
    pictures, who = stream.faces.at(rows), stream.picture[rows]
    more = with_copies(pictures, who, config["report_copies"], Changes(), seed)
    found = {"pictures": _evaluated(bundle, pictures), "copies": _evaluated(bundle, more)}
    return {
        **trial.told,
        "exits": [f"{exit_.point} {exit_.head}" for exit_ in bundle.manifest.exits],
        "macs": bundle.manifest.model.macs,
        "on": {on: _figures(evaluation, config) for on, evaluation in found.items()},
        "named": {name: _named(bundle, name, found) for name in NAMED},
        "time": timed(bundle, more, config) if seed in config["timed_seeds"] else [],
    }


def timed(bundle: Bundle, some: Faces, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Time of the named points against the uncut model on the same back end, one thread, interleaved."""
    names = list(dict.fromkeys(bundle.point(name).name for name in NAMED))
    rows = bench(bundle, _source(some), config["backends"], config["batch_sizes"], names, threads=1)
    kept = ("backend", "batch", "point", "ms", "ratio_to_uncut", "noise")
    return [{key: value for key, value in asdict(row).items() if key in kept} for row in rows]


def opened(trial: Trial) -> dict[str, Any]:
    """Strangers: who of them leaves early, and what embeddings say of the pairs of those who do not."""
    bundle, _ = built(trial)
    model = trial.loaded.model
    strangers = trial.faces.at(np.flatnonzero(trial.faces.subject >= trial.identities))
    plain = said(model, strangers)["embedding"].numpy()
    inputs, last = PREPROCESS.batch(strangers.pictures), len(bundle.manifest.exits)
    found = {}
    for name in NAMED:
        exit_index = np.asarray(bundle.use(name)(inputs).exit_index)
        stay = np.flatnonzero(exit_index == last)
        given = said(model, strangers.at(stay))["embedding"].numpy() if len(stay) else plain[:0]
        found[name] = asdict(open_set(exit_index, last, given, plain, strangers.subject))
    return {**trial.told, "strangers": len(strangers), "named": found}


def _evaluated(bundle: Bundle, some: Faces) -> Evaluation:
    return offramp.evaluate(bundle, _source(some), batch_sizes=())


def _source(some: Faces) -> Source:
    return offramp.open_source((some.pictures, some.subject), PREPROCESS)


def _figures(found: Evaluation, config: dict[str, Any]) -> dict[str, Any]:
    """All operating points on one set of faces."""
    return {
        "samples": found.samples,
        "backbone_accuracy": found.accuracy,
        "oracle_cost": found.oracle_cost,
        "cost_within_drop": {str(drop): cost_within(found, drop) for drop in config["drops_in_points"]},
        "front": [[p.cost_ratio, p.agreement, p.accuracy, p.bound and p.bound.epsilon] for p in found.points],
    }


def _named(bundle: Bundle, name: str, found: dict[str, Evaluation]) -> dict[str, Any]:
    """One operating point on each set of faces."""
    point = bundle.point(name)
    at = {on: next(p for p in evaluation.points if p.name == point.name) for on, evaluation in found.items()}
    return {
        "means": point.name,
        "certified": None if point.bound is None else point.bound.epsilon,
        "cost": {on: p.cost_ratio for on, p in at.items()},
        "agreement": {on: p.agreement for on, p in at.items()},
        "accuracy": {on: p.accuracy for on, p in at.items()},
    }
