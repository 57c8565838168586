import pytest
from benchmarks.regimes.geometry_summary import LINES, MOMENTS, Run, middle, summary


def run(rise: float) -> Run:
    ranks = {name: {"a": [4, 2.0 + k * rise], "b": [4, 3.0]} for k, name in enumerate(("disjoint", "mixed", "joint"))}
    return {
        "barriers": {pair: {"last": rise + k, "mean": rise} for k, pair in enumerate(LINES)},
        "ranks": ranks,
        "dominance": {moment: [[0.5, 0.3, 0.2], [0.0, 0.5, 0.5]] for moment in MOMENTS},
    }


def test_figures_are_means_and_standard_deviations_over_seeds() -> None:
    lines = list(summary([run(1.0), run(3.0)]))
    assert lines[0] == "2 seeds"
    assert f"R4  barrier {LINES[1]}, last exit(s): 3.00 ± 1.41" in lines
    assert "R5  effective rank at a, joint - disjoint: 4.00 ± 2.83" in lines
    assert "R5  effective rank at b, mixed - disjoint: 0.00 ± 0.00" in lines
    assert sum(line.startswith("R6") and "middle exits 0.400 ± 0.000, of the first exit" in line for line in lines) == 4


def test_a_single_seed_has_no_spread() -> None:
    assert not any("±" in line for line in summary([run(1.0)]))


def test_the_middle_is_all_exits_but_the_first_and_the_last() -> None:
    assert middle([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.2, 0.3]]) == pytest.approx(0.6)
