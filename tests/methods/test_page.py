from typing import Any

import pytest
from benchmarks.methods.page import table


def row(recipe: str, seed: int, cost: float, certified: float | None = 0.6) -> dict[str, Any]:
    return {
        "recipe": recipe,
        "seed": seed,
        "labels": recipe == "dear",
        "cost_at_drop": {"0.5": cost + 0.1, "1": cost, "2": cost - 0.1},
        "chosen": {"1": {"drop": 1.25, "disagreement": 2.0}},
        "read_off": {"0.5": cost, "1": cost, "2": cost},
        "certified": None if certified is None else {"cost": certified},
        "oracle_cost": 0.25,
    }


def test_a_line_is_a_recipe_with_its_means_and_spreads_and_the_cheapest_comes_first() -> None:
    rows = [row("dear", 0, 0.8), row("cheap", 0, 0.4), row("cheap", 1, 0.5, None)]
    found = list(table(rows))
    assert [line.split(" | ")[0] for line in found[2:]] == ["| cheap", "| dear"]
    cells = found[2].strip("| ").split(" | ")
    assert cells[1:3] == ["no", "2"]
    assert cells[3] == "55.0 ± 7.1, 45.0 ± 7.1, 35.0 ± 7.1"
    assert cells[7] == "80.0 ± 28.3", "where nothing is certified all go to the end"
    assert found[3].strip("| ").split(" | ")[2:6] == ["1", "90.0, 80.0, 70.0", "1.25", "2.00"]


def test_a_row_that_is_there_twice_is_no_second_seed() -> None:
    with pytest.raises(SystemExit, match="cheap with seed 0 twice"):
        list(table([row("cheap", 0, 0.4), row("cheap", 1, 0.5), row("cheap", 0, 0.4)]))
