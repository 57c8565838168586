"""The table of the page on guarantees is that of the recorded result, and can be made."""

import json
from pathlib import Path

from benchmarks.guarantees.__main__ import CASES, RESULT, lines, measured

ROOT = Path(__file__).parents[2]


def test_the_table_of_the_page_is_that_of_the_result() -> None:
    result = json.loads((ROOT / RESULT).read_text())
    assert result["config"] == json.loads((ROOT / "benchmarks/guarantees/config.json").read_text())
    assert "\n".join(lines(result)) in (ROOT / "docs/how-to/certify.md").read_text()


def test_a_small_one_is_made() -> None:
    config = {"choose": 200, "delta": 0.1, "max_drop": 0.2, "points": 10, "pool": 400, "samples": 100, "splits": 3}
    rows = measured(config)
    assert [(row["risk"], row["guarantee"]) for row in rows] == list(CASES)
    assert all(row["cost"] <= 1 for row in rows)
    table = list(lines({"config": config, "rows": rows}))
    assert len(table) == len(CASES) + 2
    assert table[0].endswith("| most losses in 100 | cost, % | true risk, % | above 20 % in |")
