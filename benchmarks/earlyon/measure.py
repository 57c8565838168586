"""Batches, clocks, and what is said of each contestant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.earlyon.contestants import EAGER, OFFRAMP, PLAIN, ROUTER, Answers, Contestant
from offramp.run.timing import WARM_UP, Timing, interleaved, settled
from offramp.sources import Source

PERCENTILES = (50, 95, 99)


@dataclass
class Clocked:
    """A contestant that notes how long each batch took, and what it returned."""

    run: Callable[[torch.Tensor], Any]
    seconds: list[float] = field(default_factory=list)
    returned: list[Any] = field(default_factory=list)

    def __call__(self, batch: torch.Tensor) -> None:
        """Runs a batch."""
        start = settled()
        found = self.run(batch)
        self.seconds.append(settled() - start)
        self.returned.append(found)


@dataclass(frozen=True, eq=False)
class Measured:
    """One contestant on all batches of one size.

    Attributes:
        contestant: who.
        seconds: per batch.
        answers: to all samples, in order.
    """

    contestant: Contestant
    seconds: np.ndarray
    answers: Answers


def rounds_of(
    source: Source, rows: np.ndarray, size: int, rounds: int, batches: int, seed: int = 0
) -> list[list[torch.Tensor]]:
    """Rounds of full batches of `size`; each row comes once (at most) before any comes again.

    Args:
        source: of images.
        rows: of the source, those that may be drawn.
        size: of a batch; no more than there are rows.
        rounds: how many.
        batches: in a round.
        seed: of the order.
    """
    generator = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    while len(drawn) < rounds * batches:
        drawn += np.array_split(generator.permutation(rows)[: len(rows) // size * size], len(rows) // size)
    found: list[Any] = [source.inputs(some) for some in drawn[: rounds * batches]]
    return [found[start : start + batches] for start in range(0, len(found), batches)]


def measured(
    contestants: Sequence[Contestant], rounds: Sequence[Sequence[torch.Tensor]], warm_up: int
) -> tuple[Timing, list[Measured]]:
    """All contestants on the same batches, interleaved; the first `warm_up` rounds are run once before, uncounted."""
    interleaved({one.name: one.run for one in contestants}, rounds[:warm_up])
    clocks = {one.name: Clocked(one.run) for one in contestants}
    timing = interleaved(clocks, rounds)
    skipped = min(WARM_UP, len(rounds))
    return timing, [
        Measured(
            one,
            np.array(clocks[one.name].seconds[skipped:]),
            _joined([one.read(returned) for returned in clocks[one.name].returned[skipped:]]),
        )
        for one in contestants
    ]


def _joined(answers: Sequence[Answers]) -> Answers:
    fields = ("exit_index", "classes", "score")
    return Answers(*(np.concatenate([getattr(one, name) for one in answers]) for name in fields))


def rows_of(timing: Timing, found: Sequence[Measured], batches: int, exits: int) -> list[dict[str, Any]]:
    """A row for each contestant.

    Args:
        timing: of rounds of `batches`.
        found: on all batches.
        batches: in a round.
        exits: of the bundle, the backbone not counted.
    """
    reference = next(one for one in found if one.contestant.who == PLAIN and one.contestant.on == EAGER)
    eager = {one.contestant.point: one.answers for one in found if _is(one, OFFRAMP, EAGER)}
    rows = []
    for one in found:
        who, name, answers = one.contestant, one.contestant.name, one.answers
        here = next(other.contestant.name for other in found if _is(other, PLAIN, who.on))
        plain = reference.contestant.name
        rows.append(
            {
                "point": who.point,
                "who": who.who,
                "on": who.on,
                "ms": 1e3 * float(np.median(timing.seconds(name))) / batches,
                **{f"p{q}": 1e3 * float(np.percentile(one.seconds, q)) for q in PERCENTILES},
                "to_plain_eager": timing.ratio(name, plain),
                "to_plain_eager_noise": timing.noise(name, plain),
                "to_plain_here": timing.ratio(name, here),
                "to_plain_here_noise": timing.noise(name, here),
                "left": (np.bincount(answers.exit_index, minlength=exits + 1) / len(answers.exit_index)).tolist(),
                "agreement": float((answers.classes == reference.answers.classes).mean()),
                "unlike_offramp_eager": None if who.who == PLAIN else int(unlike(answers, eager[who.point]).sum()),
            }
        )
    return rows


def unlike(one: Answers, other: Answers) -> np.ndarray:
    """For each sample whether the exit or the class is another."""
    different: np.ndarray = (one.exit_index != other.exit_index) | (one.classes != other.classes)
    return different


def decisions(found: Sequence[Measured]) -> Mapping[str, dict[str, Any]]:
    """Whether offramp and earlyon, both eager and given one sample at a time, say the same at each point.

    Raises:
        AssertionError: if they do not on any sample.
    """
    said = {}
    for one in found:
        if _is(one, ROUTER, EAGER):
            point = one.contestant.point
            mine = next(other for other in found if _is(other, OFFRAMP, EAGER) and other.contestant.point == point)
            different = int(unlike(one.answers, mine.answers).sum())
            if different:
                raise AssertionError(
                    f"expected the same decisions at {point}, got {different} others; compare the heads"
                )
            distance = np.abs(one.answers.score - mine.answers.score).max()
            said[point] = {
                "samples": len(one.answers.score),
                "different": different,
                "largest_score_difference": float(distance),
            }
    return said


def _is(one: Measured, who: str, on: str) -> bool:
    return one.contestant.who == who and one.contestant.on == on
