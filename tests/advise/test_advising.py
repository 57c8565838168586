"""Alternatives of toys, against running each by hand."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp.advise.advice import Advice, Row
from offramp.advise.advising import Wishes, advise, options_of
from offramp.advise.alternatives import Rival
from offramp.advise.contender import CASCADE, EXITS, INT8, INT8_EXITS, PLAIN, STATIC, size_of
from offramp.advise.race import installed
from offramp.advise.verdict import DONT, SMALLER
from offramp.benching import Timing
from offramp.bundle import Bundle
from offramp.errors import InputError, NoLabelsError, UnknownNameError
from offramp.load.arrays import open_array
from offramp.load.models import LoadedModel
from offramp.options import Options
from offramp.pipeline import build
from offramp.sources import Source
from offramp.split import Shares
from offramp.tasks import task as task_of
from tests.builds import RECIPE
from tests.cascades import SHAPE, Large, Little, large, little
from tests.toys import whole

GOAL = Options(recipe=replace(RECIPE, heads=("pooled-linear",)), max_drop=0.4, timed=(), batch_size=64)


def inputs(samples: int = 600, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, *SHAPE, generator=torch.Generator().manual_seed(seed))


def truth(x: torch.Tensor) -> np.ndarray:
    """What the large network says, but for every eighth."""
    said = whole(large(), x).argmax(1).numpy()
    return np.where(np.arange(len(x)) % 8 == 0, (said + 1) % 4, said)


def source(x: torch.Tensor, labels: bool = True) -> Source:
    return open_array(x, truth(x) if labels else None, None, "x")


@cache
def bundle(options: Options = GOAL) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="offramp-tests-") as folder:
        return build(large(), source(inputs()), out=Path(folder) / "b", options=options)


def advised(work: Path, some: Sequence[Rival] = (), **changed: Any) -> tuple[Advice, tuple[str, ...]]:
    data = changed.pop("data", None) or source(inputs())
    exits = changed.pop("exits", bundle())
    wishes = replace(Wishes(GOAL, int8=False), **changed)
    loaded = LoadedModel(large() if exits is None else exits.live.multi_exit.backbone.model, None, None)
    return advise(loaded, data, task_of("classification"), exits, some, wishes, work)


LITTLE = Rival("little", LoadedModel(little(), None, None))


def of(found: Advice, kind: str, way: str = "") -> Row:
    return next(row for row in found.rows if row.kind == kind and row.way == way)


def test_every_row_is_what_running_it_gives(tmp_path: Path) -> None:
    found, notes = advised(tmp_path, [LITTLE])
    rows = bundle().splits["report"]
    x, y = inputs()[rows], truth(inputs())[rows]
    said, small = whole(large(), x).argmax(1).numpy(), whole(little(), x).argmax(1).numpy()
    assert notes == ("90 samples of the report part are few: differences of some points mean nothing",)
    assert found.samples == len(rows)
    assert found.part == "the report part"
    assert found.accuracy == pytest.approx((said == y).mean())
    assert of(found, PLAIN).figures.cost == 1.0
    alone = of(found, STATIC).figures
    assert alone.agreement == pytest.approx((small == said).mean())
    assert alone.accuracy == pytest.approx((small == y).mean())
    assert alone.drop == pytest.approx(100 * ((said == y).mean() - (small == y).mean()))
    lost = (small != y).astype(float) - (said != y)
    assert alone.noise == pytest.approx(100 * lost.std() / len(rows) ** 0.5)
    assert alone.cost == pytest.approx(192 * 4 / bundle().live.multi_exit.backbone.macs)
    for name in {row.way for row in found.rows if row.kind == EXITS} - {"chosen"}:
        taken = np.asarray(bundle().use(name)(x).output).argmax(1)
        assert of(found, EXITS, name).figures.agreement == pytest.approx((taken == said).mean())
        bound = bundle().point(name).bound
        assert of(found, EXITS, name).certified == (None if bound is None else bound.epsilon)


def test_a_cascade_is_that_of_the_recipe(tmp_path: Path) -> None:
    found, _ = advised(tmp_path / "w", [LITTLE])
    built = build(
        large(), source(inputs()), out=tmp_path / "c", small=little(), options=replace(GOAL, recipe="cascade")
    )
    report = {point.name: point for point in built.report}
    mine = [row for row in found.rows if row.kind == CASCADE and row.way != "chosen"]
    assert mine
    for row in mine:
        assert row.figures.cost == pytest.approx(report[row.way].cost)
        assert 1.0 - row.figures.agreement == pytest.approx(report[row.way].loss)
    assert of(found, CASCADE, "chosen").certified is None


def test_a_small_model_that_nearly_always_agrees_pays_more(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, [LITTLE])
    assert found.verdict is not None
    assert found.verdict.word == SMALLER
    first = next(one for one in found.equal if one.way == "balanced")
    assert first.measure == "MACs"
    assert set(first.others) == {"little", "little > Large"}


def test_without_labels_alternatives_are_compared_by_agreement(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, [LITTLE], data=source(inputs(), labels=False))
    assert found.accuracy is None
    assert found.quality == "agreement"
    alone = of(found, STATIC).figures
    assert alone.accuracy is alone.drop is None
    assert alone.quality == alone.agreement
    whole_family = next(family for family in found.families if family.kind == CASCADE)
    least = min(cost for quality, cost in whole_family.curve if quality >= 0.98)
    assert whole_family.read_off[2.0] == pytest.approx(least)
    with pytest.raises(NoLabelsError):
        advised(tmp_path, data=source(inputs(), labels=False), labels=True)


def test_of_other_data_a_part_of_its_own_is_reported(tmp_path: Path) -> None:
    data = source(inputs(500, seed=9))
    found, _ = advised(tmp_path, [LITTLE], data=data)
    rows = GOAL.shares.divide(500, 0)["report"]
    assert found.samples == len(rows)
    assert "other data" in found.part
    small = whole(little(), inputs(500, seed=9)[rows]).argmax(1)
    said = whole(large(), inputs(500, seed=9)[rows]).argmax(1)
    assert of(found, STATIC).figures.agreement == pytest.approx(float((small == said).double().mean()))
    assert {row.way for row in found.rows if row.kind == EXITS} <= {"balanced", "careful", "fast", "fastest"}


def test_before_a_build_rivals_have_a_table_without_exits(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, [LITTLE], exits=None)
    assert {row.kind for row in found.rows} == {PLAIN, STATIC, CASCADE}
    assert found.equal == ()
    assert found.verdict is None


def test_times_are_there_for_every_row_on_the_fastest_back_end(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, [LITTLE], timing=Timing((1, 8), ("eager",), 1, 3))
    assert found.race is not None
    assert found.race.backend == "eager"
    assert all(set(row.taken) == {1, 8} for row in found.rows)
    assert of(found, PLAIN).taken[1].ratio == 1.0
    assert {one.measure for one in found.equal} == {"MACs", "time at batch 1", "time at batch 8"}


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    class Counted(Little):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Counted.calls += 1
            return super().forward(x)

    rival = Rival("counted", LoadedModel(Counted().eval(), None, None))
    first, _ = advised(tmp_path, [rival])
    before = Counted.calls
    again, _ = advised(tmp_path, [rival])
    assert Counted.calls - before < before  # captured once more, but no pass
    assert [row.figures for row in again.rows] == [row.figures for row in first.rows]


@pytest.mark.slow
def test_eight_bits_are_there_with_exits_and_without(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    backends = tuple(installed(("eager", "onnx")))
    found, _ = advised(tmp_path, int8=True, timing=Timing((4,), backends, 1, 2))
    assert of(found, INT8).figures.agreement > 0.8
    assert of(found, INT8).figures.cost == pytest.approx(1.0)
    assert of(found, INT8).bytes < 0.5 * of(found, PLAIN).bytes
    family = next(one for one in found.families if one.kind == INT8_EXITS)
    assert family.curve[0][0] == of(found, INT8).figures.quality  # held against the model as it was, not as rounded
    assert len(list(tmp_path.glob("int8-*/manifest.json"))) == 1
    if "onnx" in backends:
        assert found.race is not None
        assert found.race.int8 == "onnx"
        assert 4 in of(found, INT8).taken


def test_sizes_are_those_of_weights_and_heads(tmp_path: Path) -> None:
    found, _ = advised(tmp_path, [LITTLE])
    plain, small = size_of(large()), size_of(little())
    assert of(found, PLAIN).bytes == plain == 4 * sum(p.numel() for p in Large().parameters())
    assert of(found, CASCADE, "balanced").bytes == plain + small
    assert of(found, EXITS, "balanced").bytes > plain


def test_rivals_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    other = Rival("other", LoadedModel(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 7)), None, None))
    with pytest.raises(InputError, match="expected a small model with the 4 classes of the backbone"):
        advised(tmp_path, [other])
    shape = Rival("shape", LoadedModel(torch.nn.Linear(5, 4), None, None))
    with pytest.raises(InputError, match="expected a small model that takes what the backbone takes"):
        advised(tmp_path, [shape])


def test_names_that_occur_twice_and_back_ends_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected models with different names"):
        advised(tmp_path, [LITTLE, LITTLE])
    with pytest.raises(UnknownNameError, match="back end"):
        installed(("eager", "abacus"))


def test_a_rival_that_is_no_smaller_has_no_cascade(tmp_path: Path) -> None:
    same = Rival("same", LoadedModel(Large(0.2).eval(), None, None))
    found, _ = advised(tmp_path, [same])
    assert {row.kind for row in found.rows} == {PLAIN, EXITS, STATIC}


def test_the_options_of_a_bundle_are_those_it_was_built_with() -> None:
    wish = Options(recipe="quick", max_drop=0.2, seed=3, shares=Shares(0.4, 0.2, 0.2, 0.2), timed=())
    built = bundle(wish)
    found = options_of(built)
    assert (found.recipe, found.max_drop, found.seed, found.shares) == ("quick", 0.2, 3, wish.shares)
    assert found.points == ",".join(exit_.point for exit_ in built.manifest.exits)
    assert options_of(built, "heads-only", 0.02).recipe == "heads-only"
    assert options_of(built, None, 0.02).max_drop == 0.02
    with pytest.raises(InputError, match=r"expected a bundle built by a recipe with a name.*give --recipe"):
        options_of(bundle())  # its recipe is that of tests


def test_exits_that_never_leave_are_not_advised(tmp_path: Path) -> None:
    """Of so few samples next to nothing can be certified, and heads as dear as the network save nothing."""
    wish = Options(recipe="quick", max_drop=0.01, timed=())
    found, _ = advised(tmp_path, [LITTLE], exits=bundle(wish), options=wish)
    assert not [row for row in found.rows if row.kind == EXITS]
    assert found.equal == ()
    assert found.verdict is not None
    assert found.verdict.word == DONT
    assert found.verdict.reasons[0].startswith("no operating point leaves early")
