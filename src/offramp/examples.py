"""Which samples show what an operating point does: easy and hard ones of each exit, and those it got wrong."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float, Int
from offramp.confidence import Said
from offramp.decide.replay import replay
from offramp.decide.rule import decisive
from offramp.types import Configuration, ExitTable


@dataclass(frozen=True, eq=False)
class Example:
    """A sample and what was said of it.

    Attributes:
        row: its position among the samples that were looked at.
        exit_index: where it left.
        margin: its decisive score above the threshold there; of one that went all the way, the most it came near the
            threshold of an exit it passed, at most 0 (nan where it passed none).
        answer: what it was answered, in the form of the task.
        reference: what the user's model answers.
        label: the label; None where there are none.
        differs: how far the answer is from the user's model's, in [0, 1].
        wrong: how far it is from the label, in [0, 1]; None where there are none.
    """

    row: int
    exit_index: int
    margin: float
    answer: object
    reference: object
    label: object | None
    differs: float
    wrong: float | None


@dataclass(frozen=True, eq=False)
class Examples:
    """Samples of one operating point.

    Attributes:
        easy: of each exit, the backbone last, those that left there with the most to spare; at the backbone those that
            came nearest to leaving before.
        hard: of each exit those that left there only just; at the backbone those that were furthest from leaving.
        wrong: those that left early and differ most from the user's model, the surest first.
    """

    easy: tuple[tuple[Example, ...], ...]
    hard: tuple[tuple[Example, ...], ...]
    wrong: tuple[Example, ...]


def examples(said: Said, configuration: Configuration, count: int) -> Examples:
    """At most `count` samples of each kind; a sample is never shown both as easy and as hard."""
    taken = replay(said.table, configuration)
    margin = margins(said.table, configuration, taken.exit_index)

    def shown(rows: Int[np.ndarray, " rows"]) -> tuple[Example, ...]:
        return tuple(_example(said, int(row), int(taken.exit_index[row]), float(margin[row])) for row in rows)

    easy, hard = [], []
    for exit_ in range(said.table.exits):
        rows = np.flatnonzero(taken.exit_index == exit_)
        order = rows[np.argsort(-margin[rows], kind="stable")]
        most = min(count, (len(order) + 1) // 2)
        easy.append(shown(order[:most]))
        hard.append(shown(order[most:][::-1][:count]))
    early = np.flatnonzero((taken.exit_index < said.table.exits - 1) & (taken.loss > 0))
    worst = early[np.lexsort((-margin[early], -taken.loss[early]))]
    return Examples(tuple(easy), tuple(hard), shown(worst[:count]))


def margins(
    table: ExitTable, configuration: Configuration, exit_index: Int[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    """How far each sample was above the threshold where it left, or below the nearest one where it never did.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, exits=3, samples=50)
        >>> point = Configuration((True, False), (0.8, 0.8))
        >>> found = margins(table, point, replay(table, point).exit_index)
        >>> bool(((found >= 0) == (table.score[0] >= 0.8)).all())
        True
    """
    enabled = np.array(configuration.enabled, dtype=bool)
    over = decisive(table, enabled)[:-1] - np.array(configuration.threshold)[:, None]
    over = np.where(enabled[:, None], over, -np.inf)
    nearest = over.max(axis=0, initial=-np.inf)
    inner = len(over)
    left = over[np.minimum(exit_index, inner - 1), np.arange(table.samples)] if inner else nearest
    found: np.ndarray = np.where(exit_index < inner, left, np.where(np.isfinite(nearest), nearest, np.nan))
    return found


def _example(said: Said, row: int, exit_: int, margin: float) -> Example:
    task, one = said.task, slice(row, row + 1)
    return Example(
        row=row,
        exit_index=exit_,
        margin=margin,
        answer=task.predict(said.output[exit_, one])[0],
        reference=task.predict(said.reference[one])[0],
        label=said.target[row] if said.against == "labels" else None,
        differs=float(said.table.loss[exit_, row]),
        wrong=None if said.error is None else float(said.error[exit_, row]),
    )
