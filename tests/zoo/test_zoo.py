"""A dozen models of the zoo, of as many kinds; `make zoo` checks all."""

import json
from pathlib import Path

import pytest
from benchmarks.zoo.check import Row, check
from benchmarks.zoo.table import table

CONFIG = Path(__file__).parents[2] / "benchmarks" / "zoo" / "config.json"

SUBSET = {
    "own:dlrm": "export",
    "own:dcn": "export",
    "own:unet": "export",
    "own:fastestdet": "export",
    "own:transformer-encoder": "export",
    "own:two-views": "export",
    "timm:test_vit": "export",
    "timm:test_resnet": "export",
    "timm:test_convnext": "export",
    "transformers:text/bert": "export",
    "transformers:text/albert": "export",
    "transformers:text/deberta-v2": "export",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(SUBSET))
def test_a_model_is_left_exactly_and_left_alone(name: str) -> None:
    row = check(name)
    assert (row.route, row.untouched, row.reason) == (SUBSET[name], True, "")
    assert row.points > 0
    assert row.error <= 1e-4


def test_the_subset_is_of_the_zoo_and_the_zoo_is_large() -> None:
    config = json.loads(CONFIG.read_text())
    names = [f"{library}:{name}" for library, some in config.items() for name in some]
    assert set(SUBSET) <= set(names)
    assert len(names) == len(set(names)) >= 120


def test_the_table_names_every_refusal() -> None:
    rows = [Row("a", "export", 3, True, True, 1e-7, True, 1.0), Row("b", "refused", reason="it is odd")]
    page = table(rows)
    assert "**1 of 2** models can be left (50.0 %): 1 by their graph, 0 by hooks; 1 are refused, 0 failed." in page
    assert "| a | export | 3 | yes | yes | 1e-07 | yes | 1 |" in page
    assert "* `b`: it is odd" in page
