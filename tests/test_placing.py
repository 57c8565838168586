from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offramp import placing
from offramp.errors import InputError, UnknownNameError
from offramp.model.selection import spread
from offramp.options import Options
from offramp.placing import places
from offramp.proposal import Survey
from offramp.recipe import Recipe
from offramp.recipes import NAMES as NAMES_OF_RECIPES
from offramp.split import Shares
from offramp.tasks.classification import Classification
from offramp.types import ExitPoint
from tests.toys import NAMES, live, source

DATA = source(NAMES["cnn"], 160)


def placed(folder: Path, points: str | None, seed: int = 0, recipe: Recipe | None = None) -> tuple[ExitPoint, ...]:
    options = Options(points=points, seed=seed, recipe=recipe)
    parts = Shares.parse("50/15/20/15").divide(len(DATA), seed)
    return places(live("cnn").backbone, Classification(), DATA, parts, options, folder)


def test_without_a_wish_points_are_spread_and_names_are_taken(tmp_path: Path) -> None:
    recipe = replace(NAMES_OF_RECIPES["quick"], points=2)
    assert placed(tmp_path, None, recipe=recipe) == spread(live("cnn").backbone.points, 2)
    assert len(live("cnn").backbone.points) > 2
    assert [point.name for point in placed(tmp_path, "layer2.0,bn")] == ["bn", "layer2.0"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("wish", "most"), [("proposed", 10), ("proposed:2", 2), ("proposed:1", 1)])
def test_proposed_points_are_kept_for_a_build_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str, most: int
) -> None:
    found = placed(tmp_path, wish)
    assert 1 <= len(found) <= most
    assert [point.index for point in found] == sorted(point.index for point in found)

    def never(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(placing, "survey", never)
    assert placed(tmp_path, wish) == found
    with pytest.raises(AssertionError, match="measured again"):
        placed(tmp_path, wish, seed=1)


@pytest.mark.parametrize("wish", ["proposed:0", "proposed:two", "proposed:-1"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, wish: str) -> None:
    with pytest.raises(InputError, match="proposed:K with K of at least 1"):
        placed(tmp_path, wish)


def test_other_names_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="proposes"):
        placed(tmp_path, "proposes")


def test_an_empty_proposal_is_an_error_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> Survey:
        points = live("cnn").backbone.points
        return Survey(points, np.linspace(0.1, 0.9, len(points)), None, ())

    monkeypatch.setattr(placing, "survey", nothing)
    for _ in range(2):
        with pytest.raises(InputError, match="the survey proposes none; name points"):
            placed(tmp_path, "proposed")
    assert list(tmp_path.iterdir()) == []
