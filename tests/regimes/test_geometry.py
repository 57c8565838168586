import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.regimes.geometry_claims import claims, verdict
from benchmarks.regimes.geometry_figures import draw
from benchmarks.regimes.geometry_page import page, spread

RESULT = Path(__file__).parents[2] / "docs" / "results" / "geometry.json"


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULT.read_text())
    return found


def test_a_verdict_asks_for_all_seeds_on_one_side_and_a_small_spread() -> None:
    assert verdict([2.0, 3.0]) == "holds"
    assert verdict([-2.0, -3.0]) == "does not hold"
    assert verdict([2.0, -0.1]) == verdict([0.1, 9.0]) == verdict([0.0, 0.0]) == "unclear"
    assert verdict([0.5]) == "holds"


def test_claims_are_differences_between_runs_of_one_seed(result: dict[str, Any]) -> None:
    runs = [run for run in result["runs"] if run["net"] == "ViT"]
    found = {name: values for name, _, values in claims(runs)}
    for place, run in enumerate(runs):
        accuracy = run["accuracy"]
        mixed, joint = (accuracy[name]["columns"]["100"]["chosen"][0] for name in ("mixed", "joint"))
        assert found["**R2** mixed less joint at 100 %, as many steps"][place] == pytest.approx(100 * (mixed - joint))
        larger = run["larger"]
        lost = larger["disjoint"]["backbone"] - larger["joint, one phase"]["exits"][-1]
        assert found["backbone less last exit of joint, more images"][place] == pytest.approx(100 * lost)
        ranks = run["ranks"]["models"]
        more = [
            ranks["joint"][layer]["effective"] - ranks["disjoint"][layer]["effective"]
            for layer in run["ranks"]["layers"][:-1]
        ]
        assert found["**R5** effective rank, joint less disjoint"][place] == pytest.approx(sum(more) / len(more))


def test_the_page_is_that_of_the_result(result: dict[str, Any]) -> None:
    told = page(result, Path("benchmarks/regimes/geometry.json"))
    assert told == (RESULT.parents[1] / "analyses.md").read_text()
    assert "nan" not in told
    for line in told.splitlines():
        if line.startswith("!["):
            assert (RESULT.parents[1] / line.partition("](")[2].rstrip(")")).exists()


def test_the_figures_can_be_drawn(result: dict[str, Any], tmp_path: Path) -> None:
    draw(result, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in RESULT.parent.glob("geometry_*.png")}


def test_a_spread_is_mean_and_deviation() -> None:
    assert spread([1.0, 3.0]) == "+2.00 ± 1.41"
    assert spread([0.5], 100.0, 0, "") == "50"
