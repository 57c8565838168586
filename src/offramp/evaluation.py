"""What a bundle does on data: agreement, accuracy, cost, exit shares, and measured time against the plain model."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import nn

from offramp.bundle import Bundle
from offramp.decide.replay import oracle_cost, replay
from offramp.deciding import table
from offramp.errors import DataError, InputError, NoLabelsError
from offramp.inputs import Inputs, call, mask_of, shapes
from offramp.load.combine import subset
from offramp.load.trial import check_taken
from offramp.model.cache import Pass
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import at_size
from offramp.progress import Progress, silent
from offramp.run.model import EarlyExitModel
from offramp.run.timing import interleaved, settled
from offramp.sources import Source
from offramp.types import Bound, OperatingPoint

PLAIN = ""
"""Name of the plain backbone among the contestants of a timing; no operating point has it."""

ROUNDS = 5
"""Rounds of a timing, each on other inputs."""

SECONDS = 60.0
"""About how long timing at one batch size may take; beyond it a round has fewer batches, at least one."""


@dataclass(frozen=True)
class Evaluated:
    """An operating point on data.

    Attributes:
        cost_ratio: mean MACs as a share of the plain backbone's.
        agreement: share of samples answered like the backbone.
        accuracy: share answered like the label; None without labels.
        accuracy_drop: backbone's accuracy minus this one's, in percentage points; None without labels.
        exit_share: share of samples leaving at each exit, the backbone last.
        time_ratio: measured time as a share of the plain backbone's, by batch size.
        bound: the certificate that the bundle holds; it speaks of the distribution the bundle was certified on.
    """

    name: str
    cost_ratio: float
    agreement: float
    accuracy: float | None
    accuracy_drop: float | None
    exit_share: tuple[float, ...]
    time_ratio: dict[str, float]
    bound: Bound | None


@dataclass(frozen=True)
class Evaluation:
    """All operating points on one set of samples.

    Attributes:
        samples: how many.
        part: `"report"` where the data is the bundle's own and only its report part was used, else `"all"`.
        accuracy: the backbone's accuracy; None without labels.
        macs: the backbone's MACs per sample.
        oracle_cost: cost ratio if each sample left at the first exit that agrees with the backbone.
        points: the operating points, from the dearest to the cheapest.
    """

    samples: int
    part: str
    accuracy: float | None
    macs: float
    oracle_cost: float
    points: tuple[Evaluated, ...]


def evaluate(
    bundle: Bundle,
    source: Source,
    *,
    points: Sequence[str] | None = None,
    labels: bool | None = None,
    part: str | None = None,
    batch_sizes: Sequence[int] = (1, 32),
    timing_samples: int = 64,
    progress: Progress = silent,
) -> Evaluation:
    """The bundle on a source.

    Args:
        bundle: attached to its backbone.
        source: the data.
        points: names of operating points; default all.
        labels: True: labels must be there; False: they are not read; None: they are used where they are.
        part: `"report"`, another part, or `"all"`. Default: the report part if this is the data the bundle was built
            from, since its other samples trained or chose something; else all.
        batch_sizes: at which time is measured; none: not at all.
        timing_samples: samples per round and batch size.
        progress: told how far the work is.
    """
    chosen = [bundle.point(name) for name in points] if points is not None else list(bundle.points)
    live = bundle.multi_exit
    if live is None:
        raise InputError("expected a bundle attached to its backbone; call attach(model) first")
    first = source.inputs(np.arange(min(2, len(source))))
    check_taken(live.backbone.model, first, live.backbone.example, source.name)
    live = _at_size(live, first, bundle)
    part = part or ("report" if source.fingerprint() == bundle.manifest.data.fingerprint else "all")
    indices = _indices(bundle, source, part)
    known = _labels(source, labels)
    here = subset(source, indices)
    outputs = _recorded(bundle, live, here, progress)
    truth = None if known is None else known[indices]
    times = _times(bundle, here, chosen, batch_sizes, timing_samples, progress)
    return _figures(bundle, live, outputs, truth, chosen, times, part)


def _at_size(live: MultiExit, inputs: Inputs, bundle: Bundle) -> MultiExit:
    """The model as captured with inputs of this size, whose MACs are those of this size.

    Of texts of another length all parts cost more or less alike, so they are charged as the bundle has it.
    """
    backbone = live.backbone
    if shapes(inputs) == shapes(backbone.example) or mask_of(inputs) is not None:
        return live
    names = [exit_.point for exit_ in live.exits]
    return replace(live, backbone=at_size(backbone, inputs, bundle.task.logits_of, names))


def _indices(bundle: Bundle, source: Source, part: str) -> Int[np.ndarray, " samples"]:
    if part == "all":
        return np.arange(len(source))
    if part not in bundle.splits:
        raise InputError(f"expected a part among all, {', '.join(bundle.splits)}; got {part!r}")
    indices = bundle.splits[part]
    if indices.max() >= len(source):
        raise DataError(
            f"expected the {bundle.manifest.data.samples} samples of the build, got {len(source)}; use --part all"
        )
    return indices


def _labels(source: Source, wanted: bool | None) -> Int[np.ndarray, " samples"] | None:
    if wanted is False:
        return None
    try:
        return source.labels()
    except NoLabelsError:
        if wanted:
            raise
        return None


def _recorded(bundle: Bundle, live: MultiExit, source: Source, progress: Progress) -> Recording:
    passes = Pass(live.backbone.model, bundle.task.logits_of, live.wanted(), bundle.manifest.model.fingerprint)
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        cache = passes.run(source, Path(folder) / "evaluate", split="evaluate", progress=progress)
        return live.record(cache)


def _figures(
    bundle: Bundle,
    live: MultiExit,
    recording: Recording,
    labels: Int[np.ndarray, " samples"] | None,
    chosen: Sequence[OperatingPoint],
    times: Mapping[str, dict[str, float]],
    part: str,
) -> Evaluation:
    task, scorer = bundle.task, bundle.gate
    agree = table(recording, task, scorer, bundle.calibrators, live.macs(scorer))
    error = None if labels is None else task.error(recording.outputs, labels).astype(float)
    base = None if error is None else 1.0 - float(error[-1].mean())
    samples = np.arange(agree.samples)
    found = []
    for point in chosen:
        taken = replay(agree, point.configuration)
        accuracy = None if error is None else 1.0 - float(error[taken.exit_index, samples].mean())
        found.append(
            Evaluated(
                name=point.name,
                cost_ratio=float(taken.cost.mean()) / agree.cost.backbone,
                agreement=1.0 - float(taken.loss.mean()),
                accuracy=accuracy,
                accuracy_drop=None if base is None or accuracy is None else 100 * (base - accuracy),
                exit_share=tuple(np.bincount(taken.exit_index, minlength=agree.exits) / agree.samples),
                time_ratio=times.get(point.name, {}),
                bound=point.bound,
            )
        )
    return Evaluation(agree.samples, part, base, live.backbone.macs, oracle_cost(agree), tuple(found))


def _times(
    bundle: Bundle,
    source: Source,
    chosen: Sequence[OperatingPoint],
    batch_sizes: Sequence[int],
    samples: int,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Time ratio by operating point and batch size, measured on the real inputs through the real run loop."""
    found: dict[str, dict[str, float]] = {point.name: {} for point in chosen}
    if not batch_sizes or not chosen or bundle.multi_exit is None:
        return found
    model, logits_of = bundle.multi_exit.backbone.model, bundle.task.logits_of
    fast = bundle.use(chosen[0].name)
    contestants: dict[str, Callable[[Inputs], Any]] = {PLAIN: lambda inputs: logits_of(call(model, inputs)).cpu()}
    for point in chosen:
        contestants[point.name] = _at(fast, point.name)
    generator = np.random.default_rng(0)
    for done, size in enumerate(batch_sizes):
        with frozen(model):
            affordable = SECONDS / (ROUNDS * len(contestants) * _once(model, _round(source, size, size, generator)[0]))
        rounds = [_round(source, size, min(samples, int(affordable * size)), generator) for _ in range(ROUNDS)]
        with frozen(model):
            timing = interleaved(contestants, rounds)
        for point in chosen:
            found[point.name][str(size)] = timing.ratio(point.name, PLAIN)
        progress("measuring time", done + 1, len(batch_sizes))
    return found


def _once(model: nn.Module, batch: Inputs) -> float:
    """Seconds of the plain backbone on a batch, the second time."""
    call(model, batch)
    start = settled()
    call(model, batch)
    return settled() - start


def _at(fast: EarlyExitModel, name: str) -> Callable[[Inputs], Any]:
    def run(inputs: Inputs) -> Any:
        return fast.use(name)(inputs)

    return run


def _round(source: Source, size: int, samples: int, generator: np.random.Generator) -> list[Inputs]:
    """Random batches of `size` that make up about `samples` samples."""
    count = max(1, samples // size)
    size = min(size, len(source))
    return [source.inputs(generator.choice(len(source), size, replace=False)) for _ in range(count)]
