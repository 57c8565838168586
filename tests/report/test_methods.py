from pathlib import Path

import numpy as np
import pytest

from offramp.report.methods import fronts, methods_figure


def row(recipe: str, front: list[tuple[float, float]], labels: bool = False) -> dict[str, object]:
    return {"recipe": recipe, "front": front, "labels": labels, "accuracy": 90.0, "cost_at_drop": {"1": front[0][0]}}


def test_fronts_of_seeds_are_compared_at_equal_cost() -> None:
    one, other = row("a", [(1.0, 90.0), (0.5, 80.0)]), row("a", [(0.25, 60.0), (0.75, 80.0)])
    cost, accuracy = fronts([one, other], points=3)
    np.testing.assert_allclose(cost, [0.5, 0.75, 1.0])
    np.testing.assert_allclose(accuracy, [[80, 85, 90], [70, 80, 80]])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_every_recipe_is_in_the_figure(suffix: str, tmp_path: Path) -> None:
    rows = [row(name, [(0.4 + seed / 10, 88.0), (1.0, 90.0)], name == "b") for name in "ab" for seed in range(2)]
    methods_figure(rows, tmp_path / f"methods{suffix}")
    assert (tmp_path / f"methods{suffix}").stat().st_size > 5_000
