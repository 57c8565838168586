"""A stage in a pool of actors, and the one actor that keeps the answers. Free of torch."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp.arrays import Float, Int
from offramp.decide.rule import rule
from offramp.errors import DataError, OfframpError
from offramp.offline.answers import Answers
from offramp.run.group import Failed, Group
from offramp.run.mixed import Heard
from offramp.spread import Folder

Batch = Mapping[str, np.ndarray]
"""Columns of some rows, as Ray Data has them: `index`, `state0`, `state1`, … and, with some rules, `memory`."""

INDEX, STATE, MEMORY = "index", "state", "memory"


@dataclass(frozen=True, eq=False)
class Scored:
    """What is done with all samples.

    Attributes:
        folder: of the stages.
        threshold: of each exit; see `run.mixed`.
    """

    folder: Folder
    threshold: Float[np.ndarray, " exits"]


class Scoring:
    """One stage: answers go to where they are kept, whoever stays goes on."""

    def __init__(self, scored: Scored, place: int, keeper: Any) -> None:
        """Loads the stage.

        Args:
            scored: what is done.
            place: number of the stage.
            keeper: the actor that keeps the answers.
        """
        self._threshold, self._keeper = scored.threshold, keeper
        with refusing(keeper):
            self._apart = scored.folder.ready(place)
        self._rule = rule(scored.folder.routing.rule)

    def __call__(self, batch: Batch) -> Iterator[dict[str, np.ndarray]]:
        """Those who stay; nothing where nobody does."""
        from ray import get

        for some in alike(batch):
            index = some[INDEX]
            told = self._apart.answers([self._group(some)])[0]
            if isinstance(told, Failed):
                with refusing(self._keeper):
                    raise DataError(f"a stage failed on samples {index.min()} to {index.max()}: {told.message}")
            # waits, so that whoever goes on behind a lost answer does not exist
            get([self._keeper.add.remote(*_record(one, index)) for one in told.heard])
            if told.group is not None:
                yield _columns(index[told.rows], told.group)

    def _group(self, some: Batch) -> Group:
        samples = len(some[INDEX])
        state = [some[f"{STATE}{at}"] for at in range(sum(name.startswith(STATE) for name in some))]
        nobody = np.zeros(samples, bool)
        return Group(
            tuple(state),
            np.repeat(self._threshold[:, None], samples, axis=1),
            np.full(samples, len(self._threshold)),
            np.full(samples, np.inf),
            nobody,
            nobody,
            some[MEMORY] if MEMORY in some else self._rule.start(samples),
        )


def _record(one: Heard, index: Int[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    exits = np.full(len(one.who), one.exit_index)
    return index[one.who], one.said.logits.astype(np.float32), exits, one.said.score.astype(np.float64)


def _columns(index: Int[np.ndarray, " staying"], group: Group) -> dict[str, np.ndarray]:
    found = {INDEX: index} | {f"{STATE}{at}": array for at, array in enumerate(group.state)}
    return found if group.memory is None else found | {MEMORY: group.memory}


def alike(batch: Batch) -> Sequence[Batch]:
    """The rows of a batch by the shapes of what they carry; texts come in many lengths."""
    ragged = [name for name, column in batch.items() if column.dtype == object]
    if not ragged:
        return [batch]
    rows: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(list)
    for at in range(len(batch[INDEX])):
        rows[tuple(np.shape(batch[name][at]) for name in ragged)].append(at)
    return [
        {name: np.stack(list(column[at])) if name in ragged else column[at] for name, column in batch.items()}
        for at in map(np.array, rows.values())
    ]


class Keeper:
    """The actor that keeps the answers, in a file of the machine that asked for them."""

    def __init__(self, folder: Path, asked: Mapping[str, Any], samples: int, classes: int) -> None:
        self._answers = Answers(folder, asked, samples, classes)
        self._refused: str | None = None

    def add(self, index: np.ndarray, logits: np.ndarray, exit_index: np.ndarray, score: np.ndarray) -> int:
        """Keeps answers; how many are known now."""
        return self._answers.add(index, logits, exit_index, score)

    def count(self) -> int:
        """How many are known."""
        return self._answers.count

    def refuse(self, message: str) -> None:
        """Notes what is wrong; the first word counts."""
        self._refused = self._refused or message

    def refused(self) -> str | None:
        """What is wrong; None where nothing is."""
        return self._refused


@contextmanager
def refusing(keeper: Any) -> Iterator[None]:
    """Within it what offramp refuses is told to the keeper, since Ray does not hand errors on as they are."""
    from ray import get

    try:
        yield
    except OfframpError as error:
        get(keeper.refuse.remote(str(error)))
        raise
