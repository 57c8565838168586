"""What each claim asks of the rows of a comparison: a number per seed, most of them a difference of two variants."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

Row = Mapping[str, Any]
Seed = Mapping[str, Row]
"""The rows of one seed by recipe."""
Figure = Callable[[Row], float | None]
Asked = Callable[[Seed], float | None]

DROPS = ("0.5", "1", "2")
BUDGETS = ("25", "50", "75")
PRICES = ("jei-price-0.01", "jei-price-0.1", "jei-own", "jei-price-1", "jei-price-2", "jei-price-5")


@dataclass(frozen=True)
class Question:
    """One number about a claim.

    Attributes:
        claim: its key in docs/claims.md.
        text: what the number is, with its unit.
        asked: the number of a seed; None where there is none.
    """

    claim: str
    text: str
    asked: Asked


def cost(drop: str) -> Figure:
    """Cost in % of the backbone's, chosen to lose so many points at most."""
    return lambda row: 100.0 * float(row["cost_at_drop"][drop])


def accuracy(budget: str) -> Figure:
    """Accuracy in % at so many % of the cost; None where nothing is as cheap."""
    return lambda row: row["accuracy_at_cost"].get(budget)


def goal_cost(drop: str) -> Figure:
    """Cost in % where the search was asked for so many points."""
    return lambda row: 100.0 * float(row["asked"][drop]["cost"])


def goal_disagreement(drop: str) -> Figure:
    """What it disagrees then on the report part, %."""
    return lambda row: float(row["asked"][drop]["disagreement"])


def cheapest_cost(row: Row) -> float:
    """Cost in % of the end of the path; of a single configuration, its own."""
    return 100.0 * float(row["front"][-1][0])


def cheapest_drop(row: Row) -> float:
    """Points of accuracy lost there."""
    return float(row["accuracy"] - row["front"][-1][1])


def of(figure: Figure, name: str) -> Asked:
    """The figure of a recipe."""
    return lambda seed: figure(seed[name]) if name in seed else None


def minus(figure: Figure, one: str, other: str) -> Asked:
    """The figure of one recipe less that of the other, on the same split."""

    def asked(seed: Seed) -> float | None:
        found = [figure(seed[name]) if name in seed else None for name in (one, other)]
        return None if found[0] is None or found[1] is None else found[0] - found[1]

    return asked


def over_exits(name: str, figure: Callable[[list[Row]], float]) -> Asked:
    """A figure of all exits of a recipe."""
    return lambda seed: figure(list(seed[name]["exits"])) if name in seed else None


def _gap(exits: list[Row]) -> list[float]:
    return [float(exit_["agreement"] - exit_["accuracy"]) for exit_ in exits]


def _rising(exits: list[Row]) -> float:
    return 100.0 * float(np.mean(np.diff([exit_["agreement"] for exit_ in exits]) >= 0))


def _falling(seed: Seed) -> float | None:
    """Rank correlation of price and mean cost."""
    if not all(name in seed for name in PRICES):
        return None
    return float(spearmanr(range(len(PRICES)), [cheapest_cost(seed[name]) for name in PRICES]).statistic)


def _pairs(claim: str, what: str, one: str, other: str) -> Iterator[Question]:
    for drop in DROPS:
        yield Question(claim, f"cost at ≤ {drop} points, {what}, % of the backbone", minus(cost(drop), one, other))
    for budget in BUDGETS:
        yield Question(claim, f"accuracy at ≤ {budget} % cost, {what}, points", minus(accuracy(budget), one, other))


def _selfxit() -> Iterator[Question]:
    for name in ("selfxit", "selfxit-10"):
        low, share = (lambda e: min(_gap(e))), (lambda e: 100.0 * float(np.mean(np.array(_gap(e)) >= 0)))
        yield Question("S4", f"{name}: agreement - accuracy, mean of exits, points", over_exits(name, _mean_gap))
        yield Question("S4", f"{name}: the same, least of all exits, points", over_exits(name, low))
        yield Question("S4", f"{name}: exits with agreement ≥ accuracy, %", over_exits(name, share))
        yield Question("S4", f"{name}: steps to the next exit at which agreement rises, %", over_exits(name, _rising))
    yield Question("S8", "MACs saved at a threshold of 0.9, %", of(lambda row: 100 - cheapest_cost(row), "selfxit-0.9"))
    relative: Figure = lambda row: 100 * cheapest_drop(row) / row["accuracy"]  # noqa: E731
    yield Question("S8", "relative drop of accuracy there, %", of(relative, "selfxit-0.9"))
    for name in ("selfxit", "selfxit-10"):
        for drop in DROPS:
            for rival in ("equal", "optimised"):
                asked = minus(goal_cost(drop), name, f"{name}-{rival}")
                yield Question("S10", f"{name}, T = {drop} %: cost, halving - {rival}, % of the backbone", asked)
            for kind in ("", "-equal", "-optimised"):
                asked = of(goal_disagreement(drop), name + kind)
                yield Question("S10", f"{name}{kind}, T = {drop} %: disagreement on new data, %", asked)
    for drop in DROPS:
        asked = minus(goal_cost(drop), "selfxit-10-all", "selfxit-10")
        yield Question("S11", f"T = {drop} %: cost, all exits - best subset, % of the backbone", asked)
        asked = minus(lambda row, drop=drop: row["asked"][drop]["accuracy"], "selfxit-10-all", "selfxit-10")  # type: ignore[misc]
        yield Question("S11", f"T = {drop} %: accuracy, all exits - best subset, points", asked)
    yield from _pairs("S12", "backbone's - labels' heads", "kl-heads", "label-heads")


def _mean_gap(exits: list[Row]) -> float:
    return float(np.mean(_gap(exits)))


def _dyce() -> Iterator[Question]:
    yield from _pairs("D3", "exact - Brent", "dyce", "dyce-brent")
    yield from _pairs("D3", "iterative - single pass", "dyce", "dyce-single")
    yield from _pairs("D4", "searched - one threshold, linear heads", "dyce", "dyce-linear-shared")
    yield from _pairs("D4", "searched - one threshold, MLP heads", "dyce", "dyce-mlp-shared")
    yield Question("D6", "MACs saved, chosen to lose ≤ 0.5 points, %", of(lambda row: 100 - _at(row, "cost"), "dyce"))
    yield Question("D6", "what that loses on new data, points", of(lambda row: _at(row, "drop"), "dyce"))


def _at(row: Row, what: str) -> float:
    found = float(row["chosen"]["0.5"][what])
    return 100.0 * found if what == "cost" else found


def _jei() -> Iterator[Question]:
    yield from _pairs("J4", "gates - geometric shares", "jei-dnn", "jei-geometric")
    for rival in ("coordinate", "shares", "max-prob"):
        yield from _pairs("J5", f"gates - {rival}", "jei-dnn", f"jei-{rival}")
    yield from _pairs("J5", "gates - max-prob, both at a temperature", "jei-temperature", "jei-max-prob-temperature")
    yield from _pairs("J6", "weighted - unweighted, by gates", "jei-dnn", "jei-unweighted")
    yield from _pairs("J6", "weighted - unweighted, by max-prob", "jei-max-prob", "jei-unweighted-max-prob")
    yield from _pairs("J7", "targets from the best exit on - at the best alone", "jei-dnn", "jei-best-targets")
    yield from _pairs("J7", "positives by column - by count", "jei-dnn", "jei-counts")
    for rival in ("best-targets", "counts"):
        asked = minus(cheapest_cost, "jei-own", f"jei-{rival}-own")
        yield Question("J7", f"cost at the paper's rule, ours - {rival}, % of the backbone", asked)
        asked = minus(cheapest_drop, "jei-own", f"jei-{rival}-own")
        yield Question("J7", f"points lost at the paper's rule, ours - {rival}", asked)
    for name in PRICES:
        yield Question("J8", f"{name}: cost at the paper's rule, %", of(cheapest_cost, name))
        yield Question("J8", f"{name}: points lost there", of(cheapest_drop, name))
    yield Question("J8", "rank correlation of price and cost", _falling)
    for one, other in (("jei-dnn", "jei-max-prob"), ("jei-temperature", "jei-max-prob-temperature")):
        yield Question("J9", f"calibration error as run, {one}, %", of(lambda row: row["ece"], one))
        asked = minus(lambda row: row["ece"], one, other)
        yield Question("J9", f"calibration error as run, {one} - {other}, %", asked)


QUESTIONS = (*_selfxit(), *_dyce(), *_jei())
