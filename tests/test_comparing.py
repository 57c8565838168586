import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp import recipes, train
from offramp.cli.bench_methods import _asked
from offramp.comparing import compare
from offramp.errors import DataError, InputError
from offramp.kept_rows import Kept
from offramp.method_bench import Bench
from offramp.method_config import MethodConfig
from offramp.method_figures import MethodRow
from offramp.model.augment import Augment
from offramp.recipe import Student
from offramp.split import Shares
from offramp.train.bilevel import Bilevel, BilevelFit
from offramp.train.course import Course
from offramp.train.finetuning import Finetuning
from offramp.train.fit import Fit, Schedule
from offramp.variants import Variant
from tests.builds import images
from tests.toys import CNN

SHORT = Schedule(epochs=2, batch_size=32, learning_rate=1e-2)
TOYS = {
    "toy": replace(recipes.recipe("quick"), points=2, schedule=SHORT),
    "toy-labels": replace(recipes.recipe("sdn"), points=2, schedule=SHORT),
    "toy-wide": replace(recipes.recipe("dyce-labelfree"), points=1, schedule=SHORT),
    "toy-student": replace(
        recipes.recipe("quick"),
        points=1,
        schedule=SHORT,
        students=(Student(0.9, course=Course(seen=200, batch_size=32)),),
    ),
    "toy-jei": replace(recipes.recipe("jei-dnn"), points=2, schedule=SHORT),
    "toy-trained": replace(recipes.recipe("mixed"), points=2, trunk=Finetuning(epochs=2, least=1, batch_size=32)),
    "toy-augmented": replace(recipes.recipe("quick"), points=1, schedule=SHORT, augment=Augment(copies=1)),
}

VARIANT = 'backbone = "a"\ndata = "b"\nrecipes = ["quick"]\n[variants.own]\n'

NETS = """
from offramp.testing.models import CNN


def net():
    return CNN.model()


def small():
    return CNN.model(seed=5)
"""


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, made in TOYS.items():
        monkeypatch.setitem(recipes.NAMES, name, made)
    monkeypatch.setitem(train.NAMES, "jei", Bilevel(warm_up=1, epochs=2, least_steps=60, phase=10))


def files(folder: Path, samples: int = 300) -> MethodConfig:
    """A toy and labelled data for it: the classes that another toy of its kind names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nets.py").write_text(NETS)
    x = images(samples, 3)
    with torch.no_grad():
        y = CNN.model()(x).argmax(1)
    y = torch.where(torch.rand(samples, generator=torch.Generator().manual_seed(0)) < 0.2, (y + 1) % 5, y)
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    return MethodConfig(
        backbone=f"{folder / 'nets.py'}:net", data=str(folder / "data.npz"), recipes=tuple(TOYS), seeds=(0,)
    )


def rows_of(config: MethodConfig, work: Path, names: list[str] | None = None) -> dict[str, MethodRow]:
    found: list[MethodRow] = []
    compare(Bench.of(config, work), names or list(config.recipes), 0, found.append)
    return {row.recipe: row for row in found}


def test_every_recipe_gets_a_row_whose_figures_hang_together(tmp_path: Path) -> None:
    config = files(tmp_path)
    rows = rows_of(config, tmp_path / "work")
    assert set(rows) == set(TOYS)
    assert len({row.accuracy for row in rows.values()}) == 1
    for name, row in rows.items():
        assert row.labels == TOYS[name].labels
        for drop, cost in row.cost_at_drop.items():
            assert cost == row.chosen[drop].cost <= 1.0 + 1e-9
            assert row.chosen[drop].accuracy == pytest.approx(row.accuracy - row.chosen[drop].drop)
            assert abs(row.chosen[drop].drop) <= row.chosen[drop].disagreement + 1e-9
        costs = [row.read_off[drop] for drop in ("0.5", "1", "2")]
        assert costs == sorted(costs, reverse=True)
        assert sum(exit_.share for exit_ in row.exits) <= 100 + 1e-9
        if TOYS[name].trunk is None:  # else samples that stay to the end may lose or gain, too
            assert sum(exit_.effect for exit_ in row.exits) == pytest.approx(row.chosen["1"].drop, abs=1e-6)
        assert 0 <= row.ece <= 100
        on_front = {(round(cost, 9), round(accuracy, 9)) for cost, accuracy in row.front}
        for chosen in row.chosen.values():
            assert (round(chosen.cost, 9), round(chosen.accuracy, 9)) in on_front
        json.dumps(asdict(row))
    assert rows["toy-student"].exits[0].name == "input/student"


def test_recipes_that_share_a_pass_come_out_as_alone(tmp_path: Path) -> None:
    config = files(tmp_path)
    together = rows_of(config, tmp_path / "together", ["toy", "toy-wide"])
    alone = rows_of(config, tmp_path / "alone", ["toy"])
    assert replace(together["toy"], seconds=0.0) == replace(alone["toy"], seconds=0.0)


TEXTS = """
import torch
from offramp.testing.models import TEXT


def net():
    return TEXT.model()


def data():
    x = TEXT.inputs(200, 3)
    with torch.no_grad():
        return x, TEXT.model()(**x)["logits"].argmax(1)
"""


def test_recipes_for_texts_share_one_pass_whatever_they_would_do_to_images(tmp_path: Path) -> None:
    (tmp_path / "texts.py").write_text(TEXTS)
    config = MethodConfig(
        backbone=f"{tmp_path / 'texts.py'}:net",
        data=f"{tmp_path / 'texts.py'}:data",
        recipes=("toy", "toy-augmented"),
        seeds=(0,),
    )
    assert set(rows_of(config, tmp_path / "work")) == {"toy", "toy-augmented"}
    assert len(list((tmp_path / "work").glob("seed*"))) == 1


def test_report_data_of_its_own_decide_nothing(tmp_path: Path) -> None:
    config = files(tmp_path)
    x = images(120, 9)
    np.savez(tmp_path / "report.npz", x=x.numpy(), y=np.zeros(120, np.int64))
    other = config.model_copy(update={"report_data": str(tmp_path / "report.npz")})
    row = rows_of(other, tmp_path / "work", ["toy"])["toy"]
    with torch.no_grad():
        expected = 100 * float((CNN.model()(x).argmax(1) == 0).float().mean())
    assert row.accuracy == pytest.approx(expected)
    assert row.seed == 0


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    config = files(tmp_path)
    np.savez(tmp_path / "data.npz", x=images(60, 3).numpy())
    with pytest.raises(DataError, match="labels"):
        Bench.of(config, tmp_path / "work")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backbone = ", "could not read"),
        ('backbone = "a"\ndata = "b"\nrecipes = []', "recipes"),
        ('backbone = "a"\ndata = "b"\nrecipes = ["guess"]', "expected a recipe among"),
        ('backbone = "a"\ndata = "b"\nrecipes = ["quick"]\nseeds = [-1]', "seeds"),
        ('backbone = "a"\ndata = "b"\nrecipes = ["quick"]\nsplit = "1/2"', "four numbers"),
        ('backbone = "a"\ndata = "b"\nrecipes = ["quick"]\nsplit = {train = 1.0}', "four positive shares"),
        ('backbone = "a"\ndata = "b"\nrecipes = ["quick"]\nwhat = 1', "what"),
        (f'{VARIANT}recipe = "guess"', "expected a recipe among offramp, "),
        (f'{VARIANT}recipe = "quick"\nguess = 1', "expected a field of a variant among recipe, heads, .* got 'guess'"),
        (f'{VARIANT}searcher = "shared"', "variants.own.recipe"),
        (f'{VARIANT}recipe = "quick"\nsearcher = "guess"', "expected a searcher among"),
        (f'{VARIANT}recipe = "quick"\nheads = ["guess"]', "expected a head among"),
        (f'{VARIANT}recipe = "quick"\nheads = []', "variants.own.heads"),
        (f'{VARIANT}recipe = "quick"\npoints = 0', "variants.own.points"),
        (f'{VARIANT}recipe = "cascade"\npoints = 3', "expected no points in a variant of 'cascade'"),
        (f'{VARIANT}recipe = "joint"\nlabels = false', "expected labels = true with the regime 'joint'"),
        (f'{VARIANT}recipe = "joint"\nlabels = true\nbilevel = {{price = 1}}', "with a bilevel regime, got .* 'joint'"),
        (f'{VARIANT}recipe = "joint"\nregime = "guess"', "expected a regime among"),
        (f'{VARIANT}recipe = "jei-dnn"\nregime = "guess"\nbilevel = {{price = 1}}', "expected a regime among"),
        (f'{VARIANT}recipe = "quick"\nregime = "disjoint"', "expected labels = true with the regime 'disjoint'"),
        (f'{VARIANT}recipe = "quick"\ngate = "jei"', "with a regime that trains it"),
        (
            f'{VARIANT}recipe = "quick"\n[variants.own.schedule]\nguess = 1',
            "expected a field of schedule among epochs",
        ),
        (f'{VARIANT}recipe = "quick"\n[variants.own.schedule]\nepochs = 1.5', "epochs"),
        (f'{VARIANT}recipe = "jei-dnn"\nbilevel = {{guess = 1}}', "expected a field of bilevel among price"),
        (f'{VARIANT}recipe = "jei-dnn"\nbilevel = {{targets = "guess"}}', "targets"),
        (f'{VARIANT}recipe = "quick"\nbilevel = {{price = 1}}', "with a bilevel regime, got the regime 'distil'"),
        (VARIANT.replace("variants.own", "variants.selfxit") + 'recipe = "quick"', "that is no recipe's"),
        (VARIANT.replace("variants.own", 'variants."../x"') + 'recipe = "quick"', "of letters"),
        (
            'backbone = "a"\ndata = "b"\nrecipes = ["else"]\n[variants.own]\nrecipe = "quick"',
            "among offramp, .* own; got",
        ),
        ('backbone = "a"\ndata = "b"\nrecipes = ["quick", "cascade"]', "the recipe cascade needs a small model; give"),
    ],
)
def test_configs_that_make_no_sense_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        MethodConfig.read(tmp_path / "config.toml")


def test_a_config_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('backbone = "a"\ndata = "b"\nrecipes = ["quick", "quick"]\nsplit = [50, 20, 15, 15]')
    found = MethodConfig.read(path)
    assert found.recipes == ("quick",)
    assert found.seeds == (0, 1, 2)
    assert found.split == Shares(0.5, 0.2, 0.15, 0.15)


def test_rows_are_kept_for_what_was_asked_only(tmp_path: Path) -> None:
    kept, other = Kept(tmp_path, {"data": "a"}), Kept(tmp_path, {"data": "b"})
    kept.add("quick", 0, {"cost": 1.0})
    assert kept.has("quick", 0)
    assert not kept.has("quick", 1)
    assert not other.has("quick", 0)
    assert Kept(tmp_path, {"data": "a"}).row("quick", 0) == {"cost": 1.0}
    next(kept.folder.iterdir()).write_text("{")
    with pytest.raises(InputError, match="cannot read the row"):
        kept.row("quick", 0)


def test_a_gate_that_learns_with_the_heads_needs_a_regime_that_trains_it() -> None:
    with pytest.raises(InputError, match=r"expected the gate 'jei' with a regime that trains it \(jei, "):
        replace(recipes.recipe("quick"), gate="jei")
    assert replace(recipes.recipe("jei-dnn"), gate="max-prob").regime == "jei"
    with pytest.raises(InputError, match="expected a gate among"):
        replace(recipes.recipe("quick"), gate="guess")
    with pytest.raises(InputError, match="expected a head among"):
        replace(recipes.recipe("quick"), heads=("guess",))


def test_what_is_missing_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    config = files(tmp_path).model_copy(update={"recipes": ("toy", "toy-wide")})
    rows_of(config, tmp_path / "work")
    before = {path.name for path in (tmp_path / "work").iterdir()}
    rows_of(config, tmp_path / "work", ["toy-wide"])
    assert {path.name for path in (tmp_path / "work").iterdir()} == before


def test_a_variant_is_its_recipe_but_for_what_is_given(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        'backbone = "a"\ndata = "b"\nrecipes = ["own", "quick"]\n[variants.own]\nrecipe = "labels"\npoints = 3\n'
        'heads = ["pooled-linear", "sdn"]\ngate = "entropy"\nschedule = {epochs = 2, patience = 1}'
    )
    found, base = MethodConfig.read(path), recipes.recipe("labels")
    assert found.recipes == ("own", "quick")
    assert found.chosen("quick") == recipes.recipe("quick")
    assert found.chosen("own") == replace(
        base,
        points=3,
        heads=("pooled-linear", "sdn"),
        gate="entropy",
        schedule=replace(base.schedule, epochs=2, patience=1),
    )


def test_variants_use_the_heads_of_their_recipe_and_come_out_as_if_they_had_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates, searchers and calibrators see heads that were trained once, those that learned with gates among them."""
    variants = {
        "searched": Variant(recipe="toy-wide", searcher="tolerance"),
        "labelled": Variant(recipe="toy-wide", labels=True),
        "thresholds": Variant(recipe="toy-jei", gate="max-prob", calibrator="temperature", searcher="coordinate"),
        "longer": Variant(recipe="toy-wide", schedule={"epochs": 3}),
    }
    asked = {"recipes": ("toy-wide", "toy-jei", *variants), "variants": variants}
    config = files(tmp_path).model_copy(update=asked)
    trained: list[str] = []
    for kind in (Fit, BilevelFit):
        run = kind.run

        def noted(fit: Any, *given: Any, run: Any = run) -> Any:
            trained.append(type(fit).__name__)
            return run(fit, *given)

        monkeypatch.setattr(kind, "run", noted)
    together = rows_of(config, tmp_path / "together")
    assert sorted(trained) == ["BilevelFit", "Fit", "Fit"]
    for name in ("searched", "thresholds"):
        alone = rows_of(config, tmp_path / name, [name])[name]
        assert replace(together[name], seconds=0.0) == replace(alone, seconds=0.0)
    assert len(trained) == 5
    assert together["searched"].variant_of == "toy-wide"
    assert together["searched"].differs == {"searcher": "tolerance"}
    assert (together["toy-jei"].variant_of, together["toy-jei"].differs) == ("toy-jei", {})
    assert {e.agreement for e in together["thresholds"].exits} == {e.agreement for e in together["toy-jei"].exits}
    assert together["longer"].exits != together["toy-wide"].exits
    again = rows_of(config, tmp_path / "together")
    assert len(trained) == 5
    assert {name: replace(row, seconds=0.0) for name, row in again.items()} == {
        name: replace(row, seconds=0.0) for name, row in together.items()
    }


def test_settings_of_a_bilevel_variant_are_those_of_its_regime_but_for_what_is_given() -> None:
    made = Variant(recipe="jei-dnn", regime="jei-unweighted", bilevel={"price": 2, "targets": "best"}).made()
    assert made.training == Bilevel(weighting="none", price=2.0, targets="best")
    assert recipes.recipe("jei-dnn").training == train.NAMES["jei"]


def test_whether_labels_are_needed_is_a_setting_of_a_bilevel_regime() -> None:
    assert recipes.recipe("jei-dnn").needs_labels
    assert not Variant(recipe="jei-dnn", bilevel={"needs_labels": False}, labels=False).made().needs_labels


@pytest.mark.parametrize("name", [name for name, one in recipes.NAMES.items() if one.trunk is not None])
def test_recipes_that_train_the_backbone_have_variants(name: str) -> None:
    made = Variant(recipe=name, points=3).made()
    assert made == replace(recipes.recipe(name), points=3)
    assert made.needs_labels


def test_a_cascade_costs_its_small_model_and_an_oracle_asks_the_backbone_where_they_disagree(tmp_path: Path) -> None:
    config = files(tmp_path).model_copy(update={"small": f"{tmp_path / 'nets.py'}:small"})
    row = rows_of(config, tmp_path / "work", ["cascade", "toy"])["cascade"]
    x = images(300, 3)[torch.from_numpy(config.split.divide(300, 0)["report"])]
    with torch.no_grad():
        differ = (CNN.model()(x).argmax(1) != CNN.model(seed=5)(x).argmax(1)).float().mean().item()
    assert [exit_.name for exit_ in row.exits] == ["input/small"]
    assert row.oracle_cost == pytest.approx(1.0 + differ)  # they are of one size
    assert row.head_parameters == sum(parameter.numel() for parameter in CNN.model().parameters())
    assert set(row.cost_at_drop.values()) == {1.0}


def test_rows_without_a_small_model_are_kept_as_before_there_were_any(tmp_path: Path) -> None:
    config = files(tmp_path)
    assert "small" not in _asked(config)
    assert _asked(config.model_copy(update={"small": "a"}))["small"] == "a"
