"""The whole way with the real network on the real faces, small."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.faces.classifier import said, teach
from benchmarks.faces.measure import NAMED, Trial, built, closed, opened
from benchmarks.faces.orl import Faces
from benchmarks.faces.page import least_provable
from benchmarks.faces.protocol import KNOWN, portions

import offramp
from offramp.load.models import LoadedModel

pytestmark = pytest.mark.slow

CONFIG = {
    "max_drop": 0.1,
    "delta": 0.1,
    "points_kept": 16,
    "report_copies": 1,
    "drops_in_points": [0.0, 2.0],
    "timed_seeds": [],
}


@pytest.fixture(scope="module")
def known(orl: Faces, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """Knows fifteen subjects."""
    file = tmp_path_factory.mktemp("weights") / "open_identifier.safetensors"
    teach(orl, KNOWN, weights, file)
    folder = Path(__file__).parents[2] / "benchmarks" / "faces"
    return offramp.load_model(f"{folder / 'network.py'}:open_identifier", file)


@pytest.fixture
def trial(orl: Faces, known: LoadedModel, tmp_path: Path) -> Trial:
    return Trial(known, KNOWN, orl, "pictures", "quick", 0, CONFIG, tmp_path / "bundle")


def test_the_classifier_knows_pictures_that_did_not_teach_it(orl: Faces, known: LoadedModel) -> None:
    _, stream = portions(orl.subject)
    some = orl.at(stream[orl.subject[stream] < KNOWN])
    told = said(known.model, some)["logits"].argmax(1).numpy()
    assert (told == some.subject).mean() > 0.97


def test_a_build_divides_by_picture_and_promises_no_more_than_so_few_can_prove(trial: Trial) -> None:
    bundle, stream = built(trial)
    for part, rows in stream.parts().items():
        np.testing.assert_array_equal(bundle.splits[part], rows)
    pictures = [set(stream.picture[rows].tolist()) for rows in bundle.splits.values()]
    assert sum(map(len, pictures)) == len(set().union(*pictures)) == 105
    early = [point for point in bundle.points if any(point.configuration.enabled)]
    assert early
    for point in early:
        assert point.bound is not None
        assert point.bound.epsilon >= least_provable(len(bundle.splits["certify"]), trial.config["delta"])


def test_figures_are_told_for_every_named_point(trial: Trial) -> None:
    found = closed(trial)
    assert {on: one["samples"] for on, one in found["on"].items()} == {"pictures": 16, "copies": 32}
    assert set(found["named"]) == set(NAMED)
    for one in found["named"].values():
        assert all(0 < cost <= 1 for cost in one["cost"].values())
        assert all(0 <= share <= 1 for key in ("agreement", "accuracy") for share in one[key].values())
    within = found["on"]["pictures"]["cost_within_drop"]
    assert within["2.0"] <= within["0.0"] <= 1


def test_strangers_are_measured_by_the_embeddings_of_those_who_stay(trial: Trial) -> None:
    found = opened(trial)
    assert found["strangers"] == 50
    careful = found["named"]["careful"]
    assert careful["whole"]["same"] == 5 * 45
    assert careful["whole"]["auc"] > 0.97
    assert all(one["difference"] < 1e-4 for one in found["named"].values())
    assert found["named"]["fastest"]["left"] >= careful["left"]
