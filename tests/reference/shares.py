"""Exit shares, one sample after another."""

from collections.abc import Iterator, Sequence
from itertools import product

from offramp.types import ExitTable


def left(table: ExitTable, numbers: Sequence[int]) -> list[int]:
    """Where each sample leaves when so many are to leave at each exit, in order, highest score first.

    Those whose score equals that of the last one taken leave with it.
    """
    where = [table.exits - 1] * table.samples
    for e, number in enumerate(numbers):
        waiting = [n for n in range(table.samples) if where[n] == table.exits - 1]
        scores = sorted((float(table.score[e, n]) for n in waiting), reverse=True)
        if number == 0 or not scores:
            continue
        for n in waiting:
            if table.score[e, n] >= scores[min(number, len(scores)) - 1]:
                where[n] = e
    return where


def mean_loss_and_cost(table: ExitTable, numbers: Sequence[int]) -> tuple[float, float]:
    """Mean loss, and mean cost as a share of the backbone's; an exit where nobody leaves is not paid."""
    where = left(table, numbers)
    loss = sum(float(table.loss[e, n]) for n, e in enumerate(where)) / table.samples
    spent = 0.0
    for e in where:
        heads = (k for k in {*where, table.exits - 1} if k <= e)
        spent += float(table.cost.upto[e]) + sum(float(table.cost.head[k] + table.cost.gate[k]) for k in heads)
    return loss, spent / (table.samples * float(table.cost.upto[-1]))


def divisions(exits: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to give so many parts to the exits."""
    for inner in product(range(parts + 1), repeat=exits - 1):
        if sum(inner) <= parts:
            yield (*inner, parts - sum(inner))
