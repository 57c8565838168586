"""The tables of the page on labels and values are those of the recorded result."""

import json
from pathlib import Path

import numpy as np
import torch
from benchmarks.other_tasks.networks import ATTRIBUTES, MASS, attributes
from benchmarks.other_tasks.page import tables
from benchmarks.other_tasks.training import linear, turned

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "docs/results/other_tasks.json"


def test_the_tables_of_the_page_are_those_of_the_result() -> None:
    result = json.loads(RESULT.read_text())
    assert result["config"] == json.loads((ROOT / "benchmarks/other_tasks/config.json").read_text())
    assert tables(result) in (ROOT / "docs/tasks_multilabel_regression.md").read_text()


def test_labels_do_not_exclude_each_other() -> None:
    kinds = np.stack([np.isin(np.arange(10), classes) for classes in ATTRIBUTES.values()], axis=1)
    assert (kinds.sum(axis=1) > 1).sum() >= 8
    assert len({tuple(row) for row in kinds.tolist()}) >= 6
    assert len(set(MASS.tolist())) == 10


def test_a_turned_picture_shows_nothing_of_its_corners() -> None:
    images = np.full((2, 32, 32, 3), 255, np.uint8)
    found = turned(images, np.array([0.0, 30.0]))
    np.testing.assert_array_equal(found[0], found[1])
    assert found[:, 0, 0].max() == 0
    stripe = np.zeros((1, 32, 32, 3), np.uint8)
    stripe[:, 15:17] = 200
    upright = turned(np.repeat(stripe, 2, 0), np.array([0.0, 90.0]))
    np.testing.assert_array_equal(upright[1], upright[0].swapaxes(0, 1))


def test_a_last_layer_is_fitted() -> None:
    model, generator = attributes(), torch.Generator().manual_seed(0)
    seen = torch.randn(300, 64, generator=generator)
    target = (seen[:, : len(ATTRIBUTES)] > 0).float()
    linear(model, seen, target, each=True)
    assert ((model.linear(seen) > 0) == (target > 0)).float().mean().item() > 0.97
