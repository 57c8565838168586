"""Whether the script of the docs gains what it skips: its own function, timed with exits and without."""

import runpy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from offramp.deployed import UNCUT
from offramp.run.routing import Routing
from offramp.run.timing import Timing, interleaved
from offramp.types import CostProfile

SCRIPT = Path(__file__).parents[2] / "docs" / "how-to" / "without_offramp.py"

NEVER = "never"
"""The stages of the operating point, with thresholds that nobody reaches."""


@dataclass(frozen=True)
class ScriptRow:
    """One way of running the model at one batch size.

    Attributes:
        batch: samples at a time.
        way: the operating point, `never` or `uncut`.
        macs_ratio: mean MACs of the samples, heads included, as a share of the uncut model's.
        ms: median over rounds of the mean milliseconds per batch.
        ratio_to_uncut: median time as a share of the uncut model's.
        ratio_to_never: the same of the stages where nobody leaves.
        noise_to_uncut: standard error of the first ratio over rounds.
        noise_to_never: of the second.
        exit_share: share of the samples that leaves at each exit, the backbone last.
        agreement: share of the samples with the answer of the uncut model.
    """

    batch: int
    way: str
    macs_ratio: float
    ms: float
    ratio_to_uncut: float
    ratio_to_never: float
    noise_to_uncut: float
    noise_to_never: float
    exit_share: tuple[float, ...]
    agreement: float


def timed(
    folder: Path,
    routing: Routing,
    point: str,
    cost: CostProfile,
    rounds: Sequence[Sequence[np.ndarray]],
    threads: int,
) -> list[ScriptRow]:
    """Rows for the three ways on the batches of each round, all of one size."""
    script, entry = runpy.run_path(str(SCRIPT)), routing.points[routing.aliases.get(point, point)]
    never = (float("inf"),) * len(entry.threshold)
    asked = {point: (entry.cut, entry.threshold), NEVER: (entry.cut, never), UNCUT: (UNCUT, never)}
    sessions = {
        cut: [script["load"](folder / stage.file, threads) for stage in routing.cuts[cut]] for cut in (entry.cut, UNCUT)
    }
    run = {
        way: partial(script["leave"], [asdict(stage) for stage in routing.cuts[cut]], sessions[cut], threshold)
        for way, (cut, threshold) in asked.items()
    }
    states = [[[batch] for batch in round_] for round_ in rounds]
    timing = interleaved(run, states)
    said = {
        way: np.concatenate([leave(state) for round_ in states for state in round_], axis=1)
        for way, leave in run.items()
    }
    with_heads, without = (cost.leaving(np.array(on)) for on in (entry.enabled, (False,) * len(never)))
    leaving = {point: with_heads, NEVER: with_heads, UNCUT: without}
    return [_row(way, timing, rounds, said, leaving[way] / cost.backbone) for way in run]


def _row(
    way: str,
    timing: Timing,
    rounds: Sequence[Sequence[np.ndarray]],
    said: dict[str, np.ndarray],
    leaving: np.ndarray,
) -> ScriptRow:
    answer, exits = said[way]
    return ScriptRow(
        batch=len(rounds[0][0]),
        way=way,
        macs_ratio=float(leaving[exits].mean()),
        ms=1e3 * float(np.median(timing.seconds(way))) / len(rounds[0]),
        ratio_to_uncut=timing.ratio(way, UNCUT),
        ratio_to_never=timing.ratio(way, NEVER),
        noise_to_uncut=timing.noise(way, UNCUT),
        noise_to_never=timing.noise(way, NEVER),
        exit_share=tuple((np.bincount(exits, minlength=len(leaving)) / len(exits)).tolist()),
        agreement=float((answer == said[UNCUT][0]).mean()),
    )
