"""The one loop: segment → head → gate → compact (SelfXit, algorithm 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.gates.gate import State as GateState
from offramp.inputs import Inputs, batch_size, leaves, mask_of
from offramp.run.executor import Executor
from offramp.types import Configuration

OnResolved = Callable[[int, torch.Tensor, int, float], None]
"""Called once per item as soon as its answer is known: (position in the batch, output, exit, score)."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The answers to a batch, in input order.

    Attributes:
        output: calibrated logits of the exit that answered.
        exit_index: which exit answered; the last number is the backbone itself.
        score: the gate's score of the answer.
    """

    output: Float[torch.Tensor, "batch classes"]
    exit_index: Int[torch.Tensor, " batch"]
    score: Float[torch.Tensor, " batch"]


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the loop needs to know about an operating point; immutable, so that a batch keeps what it started with.

    Attributes:
        configuration: which exits are on, and their thresholds.
        stops: per segment but the last, the enabled exits behind it.
        gate: scores outputs.
        calibrators: one per exit but the last.
    """

    configuration: Configuration
    stops: tuple[tuple[int, ...], ...]
    gate: Gate
    calibrators: tuple[Calibrator, ...]

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        point_of: Sequence[int],
        gate: Gate,
        calibrators: Sequence[Calibrator],
    ) -> "Plan":
        """The plan of a configuration; `point_of[e]` is the number of the segment whose end exit e reads."""
        enabled = [exit_ for exit_, on in enumerate(configuration.enabled) if on]
        segments = max(point_of, default=-1) + 1
        stops = tuple(tuple(e for e in enabled if point_of[e] == k) for k in range(segments))
        return cls(configuration, stops, gate, tuple(calibrators))

    def judge(self, exit_: int, raw: torch.Tensor, remembered: GateState) -> "Judged":
        """Who may leave at an exit with the raw logits `raw`."""
        logits = self.calibrators[exit_](raw)
        score, remembered = self.gate.step(logits, remembered)
        # in double precision, since a threshold is not rounded to single
        return Judged(logits, score, score.double() >= self.configuration.threshold[exit_], remembered)


@dataclass(frozen=True, eq=False)
class Judged:
    """What an exit says about the batch that reached it: calibrated logits, score, who leaves, the gate's memory."""

    logits: torch.Tensor
    score: torch.Tensor
    leaves: torch.Tensor
    remembered: GateState


class _Batch:
    """The answers given so far, which items are still under way, what the gate remembers of them, and their padding."""

    def __init__(self, inputs: Inputs, plan: Plan, on_resolved: OnResolved | None) -> None:
        samples, device = batch_size(inputs), leaves(inputs)[0].device
        self.alive = torch.arange(samples, device=device)
        self.exit_index = torch.empty(samples, dtype=torch.int64, device=device)
        self.score = torch.empty(samples, device=device)
        self.output: torch.Tensor | None = None
        self.remembered = plan.gate.init(samples)
        self.mask = mask_of(inputs)
        self.on_resolved = on_resolved

    def resolve(self, who: torch.Tensor, logits: torch.Tensor, score: torch.Tensor, exit_index: int) -> None:
        """Answers the items at the positions `who`."""
        if self.output is None:
            self.output = logits.new_empty((len(self.exit_index), *logits.shape[1:]))
        self.output[who] = logits
        self.score[who] = score.to(self.score.dtype)
        self.exit_index[who] = exit_index
        if self.on_resolved is not None:
            for position, answer, value in zip(who.tolist(), logits, score.tolist(), strict=True):
                self.on_resolved(position, answer, exit_index, value)

    def leave(self, said: Judged, exit_index: int) -> torch.Tensor:
        """Lets those go who may leave; returns the rows of those who stay."""
        going, staying = said.leaves.nonzero().squeeze(1), (~said.leaves).nonzero().squeeze(1)
        self.resolve(self.alive[going], said.logits[going], said.score[going], exit_index)
        self.alive = self.alive[staying]
        self.remembered = tuple(tensor.index_select(0, staying) for tensor in said.remembered)
        self.mask = None if self.mask is None else self.mask.index_select(0, staying)
        return staying

    def outcome(self) -> Outcome:
        assert self.output is not None
        return Outcome(self.output, self.exit_index, self.score)


def run(executor: Executor, plan: Plan, inputs: Inputs, on_resolved: OnResolved | None = None) -> Outcome:
    """The outcome of a batch.

    A sample leaves at the first enabled exit with `score >= threshold`; what is left of the batch goes on without it.
    With no exit enabled this is the backbone itself, bit for bit.

    Raises:
        DataError: if the inputs disagree about the batch size.
    """
    with torch.no_grad():
        batch = _Batch(inputs, plan, on_resolved)
        if not any(plan.configuration.enabled):
            logits: torch.Tensor | None = executor.whole(inputs)
        else:
            logits = executor.drive(inputs, partial(_stop, executor, plan, batch))
        if logits is not None:
            score, _ = plan.gate.step(logits, batch.remembered)
            batch.resolve(batch.alive, logits, score, len(plan.configuration.enabled))
        return batch.outcome()


def _stop(executor: Executor, plan: Plan, batch: _Batch, segment: int, feature: torch.Tensor) -> torch.Tensor | None:
    """Asks the exits behind a segment one after the other; returns the rows that stay, None for all."""
    rows: torch.Tensor | None = None
    for exit_ in plan.stops[segment]:
        said = plan.judge(exit_, executor.head(exit_, feature, batch.mask), batch.remembered)
        batch.remembered = said.remembered
        if not bool(said.leaves.any()):
            continue
        staying = batch.leave(said, exit_)
        rows = staying if rows is None else rows[staying]
        if len(staying) == 0:
            break
        feature = feature.index_select(0, staying)
    return rows
