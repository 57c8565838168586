import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp.analyze.rank import ranks
from offramp.errors import InputError
from offramp.geometry.features import features
from offramp.geometry.looked import Looked
from offramp.geometry.seen_around import connectivity, landscape
from offramp.geometry.seen_inside import gradients, information_profile, rank_profile
from offramp.geometry.settings import Settings
from offramp.geometry.weights import between
from offramp.kept_parts import KeptParts
from tests.geometry.looks import looked, shaken

PARTS = (gradients, rank_profile, information_profile, landscape, connectivity)


def test_the_middle_of_a_landscape_is_the_loss_with_recalibrated_norms() -> None:
    given = looked("cnn", models=2)
    found = landscape(given)
    assert found["at"] == [-1.0, 0.0, 1.0]
    for name, weights in given.models.items():
        here, own = given.sight.at(weights), found["models"][name]
        np.testing.assert_allclose(own["here"], here, rtol=1e-6)
        assert own["last"][1][1] == pytest.approx(here[-1], rel=1e-6)
        assert own["mean"][1][1] == pytest.approx(here.mean(), rel=1e-6)
    sight = looked("cnn", models=1).sight
    np.testing.assert_allclose(found["models"]["one"]["as_is"], sight.losses(), rtol=1e-6)


def test_a_landscape_of_the_heads_leaves_the_last_exit_as_it_is_and_one_of_the_backbone_does_not() -> None:
    given = looked("cnn", models=1)
    flat = landscape(replace(given, settings=replace(given.settings, moved="heads")))["models"]["one"]
    np.testing.assert_allclose(np.array(flat["last"]), flat["here"][-1], rtol=1e-6)
    assert np.ptp(np.array(flat["mean"])) > 0.0
    moved = landscape(replace(given, settings=replace(given.settings, moved="backbone")))["models"]["one"]
    assert np.ptp(np.array(moved["last"])) > 0.0


def test_lines_end_at_the_models_and_hold_what_is_between() -> None:
    given = looked("cnn")
    found = connectivity(given)
    assert [(line["from"], line["to"]) for line in found["lines"]] == [
        ("one", "other 1"),
        ("one", "other 2"),
        ("other 1", "other 2"),
    ]
    one, other = given.models["one"], given.models["other 2"]
    line = found["lines"][1]
    expected = [given.sight.at(between(one, other, share)) for share in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(line["last"], [losses[-1] for losses in expected], rtol=1e-6)
    np.testing.assert_allclose(line["mean"], [losses.mean() for losses in expected], rtol=1e-6)
    names = [name for name, _ in given.sight.network.named_parameters()]
    distance = torch.cat([(other[name] - one[name]).flatten() for name in names]).norm()
    assert line["distance"] == pytest.approx(float(distance), rel=1e-5)
    rise = line["last"][1] - (line["last"][0] + line["last"][2]) / 2
    assert line["barrier"]["last"]["height"] == pytest.approx(max(0.0, rise))


def test_the_plane_goes_through_the_first_three_and_needs_them() -> None:
    found = connectivity(looked("cnn"))["plane"]
    assert set(found["corners"]) == {"one", "other 1", "other 2"}
    assert np.array(found["last"]).shape == np.array(found["mean"]).shape == (3, 3)
    assert found["x"][0] < 0.0 < found["x"][-1]
    assert connectivity(looked("cnn", models=2))["plane"] is None
    alone = looked("cnn", models=1)
    assert connectivity(alone) == {"lines": [], "plane": None}
    on_a_line = {
        "a": alone.models["one"],
        "b": shaken(alone.models["one"], 1),
        "c": between(alone.models["one"], shaken(alone.models["one"], 1), 0.5),
    }
    given = Looked(alone.sight, on_a_line, alone.layers, alone.settings, alone.kept)
    assert connectivity(given)["plane"] is None


def test_ranks_are_those_of_the_features_with_recalibrated_norms() -> None:
    given = looked("cnn", models=2)
    found = rank_profile(given)
    given.sight.place(given.models["other 1"])
    rows = features(given.sight, given.layers, 20, 0)
    assert found["layers"] == [*given.layers, "backbone"]
    for layer in found["layers"]:
        assert found["models"]["other 1"][layer]["effective"] == pytest.approx(ranks(rows[layer]).effective)


def test_information_of_a_layer_that_never_changes_is_not_there() -> None:
    given = looked("cnn", models=1)
    dead = {
        name: torch.zeros_like(value) if name.startswith("model.fc") else value
        for name, value in given.models["one"].items()
    }
    found = information_profile(Looked(given.sight, {"dead": dead}, given.layers, given.settings, given.kept))
    assert found["models"]["dead"]["backbone"] is None
    assert found["models"]["dead"][given.layers[0]][0]["noise"] == 0.4


@pytest.mark.parametrize("name", ["vit", "text", "clicks"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_json_of_any_network(part: Callable[[Looked], Any], name: str) -> None:
    found = part(looked(name, models=3 if part is connectivity else 1))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_goes_on_and_finds_the_same(part: Callable[[Looked], Any], tmp_path: Path) -> None:
    models = 3 if part is connectivity else 1
    calls = 0

    def dies(stage: str, done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if done == 1:
            raise KilledError

    with pytest.raises(KilledError):
        part(looked("cnn", models, tmp_path, dies))
    assert calls == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert before
    assert part(looked("cnn", models, tmp_path)) == part(looked("cnn", models))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_was_found_with_other_settings_or_data_is_not_taken(tmp_path: Path) -> None:
    given = looked("cnn", folder=tmp_path)
    gradients(given)
    first = set(tmp_path.iterdir())
    other = Settings(samples=24, batch_size=6)
    gradients(Looked(given.sight, given.models, given.layers, other, given.kept))
    gradients(Looked(given.sight, given.models, given.layers, given.settings, KeptParts(tmp_path, "other data")))
    assert len(set(tmp_path.iterdir())) == 3 * len(first)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    given = looked("cnn", models=1, folder=tmp_path)
    gradients(given)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    with pytest.raises(InputError, match="delete it to make it anew"):
        gradients(given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 1},
        {"steps": 2},
        {"grid": 1},
        {"noises": ()},
        {"noises": (0.0,)},
        {"reach": 0.0},
        {"seed": -1},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Settings(**wrong)
