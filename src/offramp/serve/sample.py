"""A sample on its way through the server, and what is said about it. Free of torch."""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from offramp.arrays import Float
from offramp.serve.errors import RefusedError

LOG = logging.getLogger("offramp.serve")

Row = Mapping[str, np.ndarray]
"""The inputs of one sample by name, without batch axis."""


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What is said about a sample.

    Attributes:
        logits: calibrated, of the exit that answers.
        exit_index: which exit; the last number is the backbone itself.
        score: what was compared with the threshold.
        final: whether it is the last answer.
        forced: whether it left below its threshold, since its deadline passed or it had to leave there.
        full: by name, what else the backbone returns, of its own answer alone.
    """

    logits: Float[np.ndarray, " classes"]
    exit_index: int
    score: float
    final: bool = True
    forced: bool = False
    full: Mapping[str, np.ndarray] = field(default_factory=dict)


class Sample:
    """A sample on its way through the server.

    Attributes:
        row: its inputs.
        threshold: of each exit; see `run.mixed`.
        last: the exit that it leaves at in any case.
        listener: called with each answer, or with what went wrong; in the thread of the batches.
        point: name of the operating point.
        deadline: when it must leave at the next exit, by the clock of the engine; None: never.
        anytime: whether answers of exits that it passes are told, too.
        audited: whether it goes on to the end once it is answered, to be compared.
        since: when it came, by the clock of the engine.
        cancelled: set where nobody waits for it any more.
        answer: its final answer, or what went wrong; None before.
        passed: the last exit whose answer was told, -1 before.
        kind: equal for samples that can be in one batch. Those that are asked at no exit are among themselves, so that
            they get the backbone's own answer, bit for bit.
    """

    __slots__ = (
        "answer",
        "anytime",
        "audited",
        "cancelled",
        "deadline",
        "kind",
        "last",
        "listener",
        "passed",
        "point",
        "row",
        "since",
        "threshold",
    )

    def __init__(
        self,
        row: Row,
        threshold: Float[np.ndarray, " exits"],
        last: int,
        listener: "Callable[[Answer | RefusedError], None]",
        point: str = "",
        deadline: float | None = None,
        anytime: bool = False,
        audited: bool = False,
        since: float = 0.0,
    ) -> None:
        self.row, self.threshold, self.last, self.listener, self.point = row, threshold, last, listener, point
        self.deadline, self.anytime, self.audited, self.since = deadline, anytime, audited, since
        self.cancelled, self.passed = False, -1
        self.answer: Answer | RefusedError | None = None
        shapes = tuple((name, one.shape, one.dtype.str) for name, one in row.items())
        self.kind: Hashable = (bool((threshold < np.inf).any()), shapes)

    @property
    def free(self) -> bool:
        """Whether the operating point alone decides where it leaves."""
        return self.deadline is None and self.last >= len(self.threshold)

    def tell(self, answer: "Answer | RefusedError") -> None:
        """Says something to whoever waits for it, who must not disturb the others."""
        if isinstance(answer, RefusedError) or answer.final:
            self.answer = answer
        try:
            self.listener(answer)
        except Exception:
            LOG.exception("an answer could not be delivered")


@dataclass(frozen=True, eq=False)
class Compared:
    """A sample that was answered early and run to its end.

    Attributes:
        sample: which.
        early: its answer.
        backbone: logits of the backbone.
    """

    sample: Sample
    early: Answer
    backbone: Float[np.ndarray, " classes"]


@dataclass(frozen=True, eq=False)
class Ran:
    """A batch that is done.

    Attributes:
        samples: those that were answered.
        compared: those of them that were run to the end all the same.
        onwards: exits that were asked, by depth, each with how many went on behind it.
        size: of the batch.
        seconds: that it took.
        complete: whether it ran to its end; False: the model failed in it, and the rest was tried anew.
    """

    samples: Sequence[Sample]
    compared: Sequence[Compared]
    onwards: Sequence[tuple[int, int]]
    size: int
    seconds: float
    complete: bool
