import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp import recipes
from offramp.bundle import Bundle
from offramp.comparing import compare
from offramp.errors import DataError, InputError
from offramp.head_search import JOURNAL, FoundHead, found_heads, heads_at
from offramp.heads import head_type
from offramp.inputs import Inputs
from offramp.method_bench import Bench
from offramp.method_config import MethodConfig
from offramp.method_figures import MethodRow
from offramp.options import Options
from offramp.reading import reader
from offramp.recipe import HeadSearch, Recipe
from offramp.sources import Source
from offramp.split import Shares
from offramp.tasks.classification import Classification
from offramp.testing.models import TEXT, VIT, Toy
from tests.builds import RECIPE, images, make
from tests.test_comparing import TOYS, files
from tests.toys import CNN, live, source
from tests.trials import SEARCH

SEARCHED = replace(RECIPE, points=2, head_search=replace(SEARCH, trials=5))
SHARES = Shares()


@dataclass
class Watched:
    """A source that notes which samples are looked at."""

    inner: Source
    seen: set[int]

    @property
    def name(self) -> str:
        return self.inner.name

    def __len__(self) -> int:
        return len(self.inner)

    def inputs(self, indices: np.ndarray) -> Inputs:
        self.seen |= set(indices.tolist())
        return self.inner.inputs(indices)

    def labels(self) -> np.ndarray:
        return self.inner.labels()

    def fingerprint(self) -> str:
        return self.inner.fingerprint()


def found_in(work: Path, recipe: Recipe = SEARCHED, toy: Toy = CNN, **arguments: Any) -> tuple[FoundHead, ...]:
    backbone = live(toy.name).backbone
    data: Source = arguments.pop("data", None) or source(toy, 200)
    options = Options(recipe=recipe, max_drop=arguments.pop("max_drop", 0.2), batch_size=64)
    parts = SHARES.divide(len(data), 0)
    points: Sequence[Any] = arguments.pop("points", live(toy.name).points[:2])
    return found_heads(backbone, Classification(), data, points, None, parts, options, work, **arguments)


@functools.cache
def searched(folder: Path) -> Bundle:
    return make(folder, recipe=SEARCHED)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return searched(tmp_path_factory.mktemp("searched") / "bundle")


def test_a_build_gets_the_heads_that_were_found(built: Bundle) -> None:
    found = built.manifest.provenance["head_search"]
    kept = {(row["point"], row["best"]["head"]) for row in found if row["kept"]}
    assert {(exit_.point, exit_.head) for exit_ in built.manifest.exits} == kept != set()
    assert all(row["trials"] == 5 for row in found)
    assert all(row["best"]["saving"] >= row["own"]["saving"] for row in found)
    assert all(row["own"]["head"] in RECIPE.heads for row in found)


def test_heads_that_their_names_spell_are_stored_and_attached_again(tmp_path: Path) -> None:
    """One of each kind that a search can find."""
    names = ("grid2-fc8-drop10", "whole-conv4k3s2-fc8", "extremes2-mix")
    made = make(tmp_path / "b", recipe=replace(RECIPE, heads=names, points=1))
    assert tuple(exit_.head for exit_ in made.manifest.exits) == names
    loaded, inputs = Bundle.load(tmp_path / "b").attach(CNN.model()), images(20, 3)
    assert made.multi_exit is not None
    assert loaded.multi_exit is not None
    with torch.no_grad():
        expected = made.multi_exit.outputs(inputs, reader(made.task))
        found = loaded.multi_exit.outputs(inputs, reader(made.task))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_build_goes_on_where_its_search_was_interrupted(built: Bundle, tmp_path: Path) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "searching heads" and done == 7:
            raise KeyboardInterrupt

    again: list[int] = []

    def noted(stage: str, done: int, total: int) -> None:
        if stage == "searching heads":
            again.append(done)

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "cut", recipe=SEARCHED, progress=interrupted)
    cut = make(tmp_path / "cut", recipe=SEARCHED, progress=noted)
    assert again[0] == 7
    assert again[-1] == 10
    torch.testing.assert_close(dict(cut.heads), dict(built.heads), rtol=0, atol=0)
    assert cut.manifest.provenance["head_search"] == built.manifest.provenance["head_search"]


def test_the_journal_stays_so_that_another_build_tries_only_what_is_new(tmp_path: Path) -> None:
    make(tmp_path / "a", recipe=SEARCHED)
    lines = (tmp_path / "a" / JOURNAL).read_text().splitlines()
    make(tmp_path / "a", recipe=SEARCHED, overwrite=True)
    assert (tmp_path / "a" / JOURNAL).read_text().splitlines() == lines
    more = make(tmp_path / "a", recipe=SEARCHED, search_heads=6, overwrite=True)
    assert all(row["trials"] == 6 for row in more.manifest.provenance["head_search"])
    assert (tmp_path / "a" / JOURNAL).read_text().splitlines()[: len(lines)] == lines
    make(tmp_path / "a", recipe=SEARCHED, seed=1, overwrite=True)
    assert len((tmp_path / "a" / JOURNAL).read_text().splitlines()) > len(lines) + 20


def test_only_training_samples_are_looked_at(tmp_path: Path) -> None:
    data = Watched(source(CNN, 200), set())
    found_in(tmp_path / "a", data=data)
    train = set(SHARES.divide(200, 0)["train"].tolist())
    assert data.seen == train
    few = Watched(source(CNN, 200), set())
    found_in(tmp_path / "b", replace(SEARCHED, head_search=replace(SEARCH, trials=1, samples=40)), data=few)
    assert few.seen < train
    assert len(few.seen) == 40


def test_points_where_nothing_is_saved_get_no_head(tmp_path: Path) -> None:
    found = found_in(tmp_path, replace(SEARCHED, head_search=replace(SEARCH, trials=2)), max_drop=1e-9)
    saving = [row.best.saving for row in found]
    assert [row.kept for row in found] == [one > 0 or one == max(saving) for one in saving]
    made = heads_at(found)
    assert made == {row.point: (row.best.head,) for row in found if row.kept}
    assert heads_at(()) is None


@pytest.mark.parametrize("toy", [VIT, TEXT])
def test_tokens_have_heads_of_their_own(toy: Toy, tmp_path: Path) -> None:
    space = HeadSearch().space
    search = replace(SEARCH, trials=6, space=replace(space, share=10.0, widths=(8,)))
    found = found_in(tmp_path, replace(SEARCHED, head_search=search), toy, points=live(toy.name).points[1:2])
    assert found[0].trials == 6
    made = head_type(found[0].best.head).build(
        live(toy.name).points[1].feature_shape, live(toy.name).backbone.classes, torch.Generator()
    )
    assert made.reduction.name.rstrip("0123456789") in {"global", "grid", "attend", "extremes"}


def test_a_recipe_without_a_search_is_left_alone(tmp_path: Path) -> None:
    assert found_in(tmp_path, RECIPE) == ()
    assert not list(tmp_path.iterdir())


def test_recipes_with_and_without_a_search_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, made in {**TOYS, "toy": replace(RECIPE, points=2), "toy-searched": SEARCHED}.items():
        monkeypatch.setitem(recipes.NAMES, name, made)
    config: MethodConfig = files(tmp_path).model_copy(update={"recipes": ("toy", "toy-searched")})
    rows: list[MethodRow] = []
    bench = Bench.of(config, tmp_path / "work")
    compare(bench, config.recipes, 0, rows.append)
    assert [row.recipe for row in rows] == ["toy", "toy-searched"]
    assert len(rows[0].exits) == 4
    assert 1 <= len(rows[1].exits) <= 2
    journals = list((tmp_path / "work").rglob(JOURNAL))
    before = [journal.read_text() for journal in journals]
    again: list[MethodRow] = []
    compare(bench, ["toy-searched"], 0, again.append)
    assert [journal.read_text() for journal in journals] == before
    assert replace(again[0], seconds=0.0) == replace(rows[1], seconds=0.0)


def test_what_cannot_be_searched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a gate that looks at one exit alone"):
        replace(RECIPE, gate="patience", head_search=SEARCH)
    for name in ("joint", "disjoint", "ztw", "jei-dnn"):
        with pytest.raises(InputError, match="leaves the backbone as it is, and heads that learn and answer alone"):
            replace(recipes.recipe(name), gate="max-prob", head_search=SEARCH)
    with pytest.raises(InputError, match="expected exit points to search heads for, this recipe has none"):
        found_in(tmp_path, points=())
    with pytest.raises(InputError, match="at least 1 trial"):
        HeadSearch(trials=0)
    with pytest.raises(InputError, match="share of the samples in"):
        HeadSearch(judged=1.0)
    with pytest.raises(InputError, match="0 for no search, got -1"):
        Options(search_heads=-1)
    with pytest.raises(DataError, match="expected at least"):
        found_in(tmp_path, replace(SEARCHED, head_search=replace(SEARCH, samples=1)))


def test_a_wish_for_trials_is_a_search_in_the_recipes_space() -> None:
    plain = Options(recipe=RECIPE, search_heads=7).chosen().head_search
    assert plain == HeadSearch(trials=7)
    assert Options(recipe=SEARCHED, search_heads=7).chosen().head_search == replace(SEARCH, trials=7)
    assert Options(recipe=SEARCHED).chosen() == SEARCHED
    assert Options(recipe="selfxit-nas").chosen().head_search == HeadSearch()
    assert asdict(Options(recipe="selfxit-nas").chosen())["head_search"]["space"]["share"] == 0.02
