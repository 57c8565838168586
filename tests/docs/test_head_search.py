"""The table of the page on searching for heads is that of the recorded result, and can be made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.head_search.__main__ import RESULT, cost_at, lines, measured

from offramp import recipes
from tests.builds import RECIPE
from tests.test_comparing import TOYS, files
from tests.trials import SEARCH

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / RESULT).exists(), reason="no result is recorded")
def test_the_table_of_the_page_is_that_of_the_result() -> None:
    result = json.loads((ROOT / RESULT).read_text())
    asked = json.loads((ROOT / "benchmarks/head_search/config.json").read_text())
    assert result["config"] == asked
    assert [row["seed"] for row in result["rows"]] == asked["seeds"]
    assert all(row["trials"] == asked["points"] * asked["trials"] for row in result["rows"])
    assert "\n".join(lines(result)) in (ROOT / "docs/how-to/head_search.md").read_text()


def test_a_small_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, made in {**TOYS, "toy": replace(RECIPE, searcher="tolerance", head_search=SEARCH)}.items():
        monkeypatch.setitem(recipes.NAMES, name, made)
    toy = files(tmp_path)
    config = {
        "backbone": toy.backbone,
        "weights": None,
        "data": toy.data,
        "recipe": "toy",
        "split": "40/20/10/30",
        "points": 2,
        "trials": 3,
        "max_drop": 20.0,
        "tolerances": [10, 40],
        "disagreements": [5, 20],
        "seeds": [0],
    }
    row = measured(config, 0, tmp_path / "work")
    assert row["trials"] == 6
    assert row["search_seconds"] > 0
    for arm in ("own", "searched"):
        assert [one["tolerance"] for one in row[arm]] == [10, 40]
        assert all(0 < one["cost"] <= 1 for one in row[arm])
    assert measured(config, 0, tmp_path / "work") == row
    assert len(lines({"config": config, "rows": [row]})) == 3


def test_costs_are_read_between_the_subsets() -> None:
    rows = [{"cost": 0.4, "disagreement": 3.0}, {"cost": 0.8, "disagreement": 1.0}]
    assert [cost_at(rows, at) for at in (0.0, 0.5, 1.0, 2.0, 9.0)] == pytest.approx([1.0, 0.9, 0.8, 0.6, 0.4])
