"""The page says what is in the results."""

from typing import Any

from benchmarks.advise.page import WIDTH, page


def row(model: str, seed: int, foreseen: float, built: float, timed: bool = False) -> dict[str, Any]:
    times = {"1": 0.61, "32": 0.72} if timed else {}
    point = {"cost": foreseen, "disagreement": 0.005, "early": 0.6, "time": times}
    return {
        "model": model,
        "seed": seed,
        "before": {
            "certified": point,
            "read": {"cost": foreseen + 0.01},
            "verdict": {"word": "build" if seed else "may pay"},
        },
        "after": {"certified": built, "time": {"1": 0.6, "32": 0.7} if timed else {}},
    }


def told() -> str:
    rows = [row("A", 0, 0.50, 0.44, timed=True), row("A", 1, 0.52, 0.49), row("B", 0, 0.3, 0.31), row("B", 1, 0.3, 0.3)]
    table = {"machine": {"cores": 2}, "notes": ["x is left out"], "table": {"verdict": {"word": "don't"}}}
    return page({"rows": rows}, table, "| a | b |", ["advise", "m.py:net", "--batch-sizes", ""])


def test_means_spreads_and_the_largest_difference_are_there() -> None:
    assert "| A | 51.0 ± 1.4 | 52.0 ± 1.4 | 46.5 ± 3.5 | 6.0 | may pay | 61 / 72 | 60 / 70 |" in told()
    assert "| B | 30.0 ± 0.0 | 31.0 ± 0.0 | 30.5 ± 0.7 | 1.0 | may pay / build | - | - |" in told()


def test_the_command_the_verdict_and_what_was_left_out_are_there() -> None:
    found = told()
    assert '-->\n```sh\nofframp advise m.py:net --batch-sizes ""\n```\n' in found
    assert "It says: **don't**." in found
    assert "* x is left out" in found
    assert all(len(line) <= WIDTH for line in found.splitlines() if not line.startswith(("|", "offramp ")))
