"""Operating points for a back end and a mix of batch sizes: exits and thresholds chosen anew by measured seconds."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from offramp.assembly import point_entries
from offramp.backends import executors
from offramp.bundle import Bundle
from offramp.decide import guarantees
from offramp.deciding import Decided, Wish, decide_by
from offramp.errors import DataError, InputError
from offramp.load.combine import subset
from offramp.looking import is_own
from offramp.machine import threads_set
from offramp.model.cache import Pass
from offramp.model.multi_exit import MultiExit, Recording
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.run.stage_seconds import ExecutorFor, seconds
from offramp.sources import Source
from offramp.split import PARTS
from offramp.types import CostProfile

ROUNDS = 15
"""Batches on which each stage is timed."""


def tune(
    bundle: Bundle,
    source: Source,
    backend: str = "eager",
    batch_mix: Mapping[int, float] | None = None,
    threads: int = 1,
    *,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> Bundle:
    """The bundle with other operating points: those that take the least time here, and what they are certified for.

    Heads and their calibration stay. The backbone runs once more over the parts that choose, certify and report; exits
    and thresholds are searched on the choose part with measured seconds for the cost, and certified on the certify
    part. What a stage costs that nobody needs, its head, the cut itself, counts as it is on this back end, so that a
    small model is left at fewer places than its MACs would say.

    Args:
        bundle: attached to its backbone.
        source: the data of the build.
        backend: what it will run on.
        batch_mix: which share of the samples comes in batches of which size; default all in batches of 1.
        threads: of the back end.
        rounds: batches of each size on which stages are timed.
        progress: told how far it is.

    Returns:
        A bundle attached to the same backbone, not saved; its points say their cost in MACs, as ever.

    Raises:
        DataError: if it is not the data of the build.
        InputError: if the mix is none, or the bundle is not attached, or a package is missing.
        UnknownNameError: if there is no such back end.
    """
    live, mix = bundle.live.multi_exit, dict(batch_mix or {1: 1.0})
    if not mix or min(mix) < 1 or not all(np.isfinite(share) and share > 0 for share in mix.values()):
        raise InputError(f"expected batch sizes with positive shares, got {mix}; give --batch-sizes 1,32")
    if not is_own(bundle, source):
        raise DataError(
            f"expected the data of the build, {bundle.manifest.data.name}, whose parts are known, got {source.name}; "
            "on other data build a new bundle"
        )
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        # first, so that a back end that cannot be used is refused before the backbone runs
        make = executors(bundle.live, [backend], Path(folder), threads)[backend]
        recordings = {
            part: _recorded(bundle, live, subset(source, bundle.splits[part]), part, progress) for part in PARTS[1:]
        }
        chooser = subset(source, bundle.splits["choose"])
        with threads_set(threads):
            profiles = measured(make, live.point_of, chooser, mix, backend, threads, rounds, progress)
    labels = source.labels() if bundle.manifest.risk == "error" else None
    goal = bundle.manifest.goal
    known = None if labels is None else {part: labels[bundle.splits[part]] for part in recordings}
    searcher = bundle.manifest.provenance["recipe"]["searcher"]
    keep = max(len(bundle.points), KEEP)
    guarantee = bundle.manifest.provenance.get("guarantee", guarantees.DEFAULT)
    wish = Wish(bundle.gate, searcher, goal["max_drop"], goal["delta"], keep, guarantee)
    price = mixed(profiles, mix)
    return _with(
        bundle,
        decide_by(price, live.macs(bundle.gate), recordings, bundle.task, known, bundle.calibrators, wish),
        profiles,
    )


KEEP = 16
"""Operating points kept at least, where that many are certified."""


def measured(
    make: ExecutorFor,
    point_of: Sequence[int],
    source: Source,
    mix: Mapping[int, float],
    backend: str,
    threads: int,
    rounds: int,
    progress: Progress = silent,
) -> list[CostProfile]:
    """A cost profile in seconds per sample for each batch size."""
    found, generator = [], np.random.default_rng(0)
    device = f"{backend}, {threads} thread{'s' * (threads > 1)}"
    for done, size in enumerate(mix):
        batches = [source.inputs(np.sort(generator.integers(0, len(source), size))) for _ in range(rounds)]
        found.append(seconds(make, point_of, batches, device))
        progress(f"timing {backend}", done + 1, len(mix))
    return found


def mixed(profiles: Sequence[CostProfile], mix: Mapping[int, float]) -> CostProfile:
    """Expected seconds per sample over a mix of batch sizes."""
    share = np.array([mix[profile.batch_size] for profile in profiles])
    share = share / share.sum()
    upto, head, gate = (
        np.tensordot(share, np.array([getattr(profile, name) for profile in profiles]), axes=1)
        for name in ("upto", "head", "gate")
    )
    return CostProfile("s", np.maximum.accumulate(upto), head, gate, device=profiles[0].device)


def _recorded(bundle: Bundle, live: MultiExit, source: Source, part: str, progress: Progress) -> Recording:
    fingerprint, original = bundle.manifest.model.fingerprint, live.original
    passes = Pass(live.backbone.model, reader(bundle.task), live.wanted(), fingerprint, original=original)
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        return live.record(passes.run(source, Path(folder) / part, split=part, progress=progress))


def _with(bundle: Bundle, decided: Decided, profiles: Sequence[CostProfile]) -> Bundle:
    manifest = bundle.manifest.model_copy(
        update={
            **point_entries(decided, profiles),
            "provenance": {**bundle.manifest.provenance, "tuned": profiles[0].device},
        }
    )
    return replace(bundle, manifest=manifest)
