from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.methods.claims import by_seed, table, values
from benchmarks.methods.questions import QUESTIONS, minus, over_exits

from offramp.method_config import MethodConfig

CONFIG = Path(__file__).parents[2] / "benchmarks" / "methods" / "claims.toml"


def made(recipe: str, seed: int) -> dict[str, Any]:
    """A row of which each figure tells the recipe by its place in the config, and the seed."""
    place = MethodConfig.read(CONFIG).recipes.index(recipe)
    cost = 0.3 + 0.01 * place + 0.1 * seed
    told = {"cost": cost, "drop": 0.1 * place, "disagreement": 1.0, "accuracy": 90.0 - place}
    return {
        "recipe": recipe,
        "seed": seed,
        "accuracy": 94.0,
        "cost_at_drop": dict.fromkeys(("0.5", "1", "2"), cost),
        "chosen": dict.fromkeys(("0.5", "1", "2"), told),
        "asked": dict.fromkeys(("0.5", "1", "2"), told),
        "accuracy_at_cost": {"50": 90.0 + place, "75": 92.0 + place} | ({"25": 80.0} if seed == 0 else {}),
        "exits": [{"agreement": 60.0, "accuracy": 62.0}, {"agreement": 90.0, "accuracy": 85.0}],
        "ece": 1.0 + place,
        "front": [(1.0, 94.0), (cost, 93.0)],
    }


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [made(recipe, seed) for recipe in MethodConfig.read(CONFIG).recipes for seed in (0, 1)]


def test_the_config_has_what_every_question_asks_for(rows: list[dict[str, Any]]) -> None:
    lines = list(table(rows))
    assert len(lines) == 2 + len(QUESTIONS)
    asked = {question.claim for question in QUESTIONS}
    assert asked == {"S4", "S8", "S10", "S11", "S12", "D3", "D4", "D6", "J4", "J5", "J6", "J7", "J8", "J9"}
    fewer = list(table([row for row in rows if row["recipe"] != "jei-coordinate"]))
    assert len(fewer) == len(lines) - 6


def test_differences_are_taken_seed_by_seed(rows: list[dict[str, Any]]) -> None:
    """The seed moves both recipes alike, so it is not in their difference; where one has no number, there is none."""
    places = MethodConfig.read(CONFIG).recipes
    apart = places.index("jei-dnn") - places.index("jei-coordinate")
    seeds = by_seed(rows)
    for question in QUESTIONS:
        if question.claim == "J5" and "gates - coordinate" in question.text:
            found = values(question, seeds)
            expected = {"c": [apart, apart], "a": [apart, apart]}[question.text[0]]
            assert found == pytest.approx([0.0] if "25 %" in question.text else expected)
    line = next(one for one in table(rows) if "gates - coordinate" in one and "≤ 1 points" in one)
    assert line.endswith(f"| {apart:.2f} ± 0.00 | {apart:.2f}, {apart:.2f} |")


def test_spread_is_the_standard_deviation_over_seeds(rows: list[dict[str, Any]]) -> None:
    line = next(one for one in table(rows) if "jei-own: cost at the paper's rule" in one)
    costs = [100 * made("jei-own", seed)["front"][1][0] for seed in (0, 1)]
    assert f"| {np.mean(costs):.2f} ± {np.std(costs, ddof=1):.2f} |" in line


def test_what_is_not_there_is_not_answered() -> None:
    assert minus(lambda row: 1.0, "one", "other")({"one": {}}) is None
    assert over_exits("one", lambda exits: 1.0)({}) is None


def test_agreement_and_accuracy_are_compared_exit_by_exit(rows: list[dict[str, Any]]) -> None:
    found = {q.text: values(q, by_seed(rows)) for q in QUESTIONS if q.claim == "S4" and q.text.startswith("selfxit:")}
    assert list(found.values()) == [[1.5, 1.5], [-2.0, -2.0], [50.0, 50.0], [100.0, 100.0]]
