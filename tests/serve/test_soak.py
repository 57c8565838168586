"""The soak itself: what it calls growth, what it calls wrong, and that it runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.soak.__main__ import soak, wrong
from benchmarks.soak.figure import draw
from benchmarks.soak.growth import growth

ROOT = Path(__file__).parents[2]


def test_growth_is_that_of_the_line_after_the_warm_up() -> None:
    seconds = list(np.arange(0.0, 90.0))
    flat = [50.0] * 30 + [100.0] * 60
    rising = [50.0] * 30 + [100.0 + 10.0 * step / 59 for step in range(60)]
    noise = np.random.default_rng(0).normal(size=90)
    assert growth(seconds, flat, 1 / 3) == pytest.approx(0.0, abs=1e-9)
    assert growth(seconds, rising, 1 / 3) == pytest.approx(0.1, abs=1e-9)
    assert abs(growth(seconds, list(np.array(flat) + noise), 1 / 3)) < 0.01


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, 0),
        ({"growth": 0.06}, 1),
        ({"files": [10, 40]}, 1),
        ({"ended": -9}, 1),
        ({"counts": {"json: ok": 3, "json: wrong": 1, "bad: 500": 1}}, 2),
    ],
)
def test_what_must_not_be_is_named(change: dict[str, Any], found: int) -> None:
    fine = {"growth": 0.01, "files": [10, 12], "ended": 0, "counts": {"json: ok": 3}, "config": {"tolerance": 0.05}}
    assert len(wrong({**fine, **change})) == found


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    config = json.loads((ROOT / "benchmarks/soak/config.json").read_text())
    result = soak({**config, "minutes": 0.5, "every": 1.0}, tmp_path)
    assert [one for one in wrong(result) if "grew" not in one] == []  # half a minute is all warm-up
    assert len(result["counts"]) == 11
    draw(result, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 1000
