"""The page says what the results say."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.texts.page import page

DOCS = Path(__file__).parents[2] / "docs"


def spread(mean: float, sd: float = 0.0) -> dict[str, float]:
    return {"mean": mean, "sd": sd, "min": mean, "max": mean}


def named(cost: float, certified: list[float | None]) -> dict[str, Any]:
    return {
        "cost": spread(cost, 0.012),
        "agreement": spread(0.9912),
        "accuracy_drop": spread(0.25, 0.1),
        "report_agreement": spread(0.99),
        "certified": certified,
    }


def timing(load: float, ratios: tuple[float, float]) -> dict[str, Any]:
    rows = [{"backend": "onnx", "batch": 1, "point": "uncut", "ms": 10.0, "ratio_to_uncut": 1.0}]
    for point, ratio in zip(("balanced", "cost20"), ratios, strict=True):
        rows.append({"backend": "onnx", "batch": 1, "point": point, "ms": 1.0, "ratio_to_uncut": ratio})
    return {"load_before": load, "points": {"balanced": "balanced", "fast": "cost20"}, "rows": rows}


def result(load: float = 0.2) -> dict[str, Any]:
    config = {
        "name": "toy",
        "title": "Toy",
        "about": "toys",
        "labelled_rows": 1000,
        "unlabelled_rows": 2000,
        "max_length": 32,
        "drops_in_points": [0.5, 2.0],
    }
    summary = {
        "backbone_accuracy": 0.9,
        "oracle_cost": spread(0.1),
        "cost_within_drop": {"0.5": spread(0.31, 0.02), "2.0": spread(0.12)},
        "named": {"balanced": named(0.4, [0.01, 0.02]), "fast": named(0.2, [0.05, None])},
    }
    found: dict[str, Any] = {"summary": summary, "runs": [{"cut": 500}], "timing": {"0": timing(load, (0.5, 0.3))}}
    found["timing"]["1"] = timing(load, (0.7, 0.1))
    return {"config": config, "classes": ["a", "b"], "tested": 1234, "models": {"tuned": found}}


def lines_with(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_figures_are_in_their_rows() -> None:
    text = page([result()])
    assert lines_with(text, "Toy (toys; 2 classes", "| 2,000 | 1,234 | 32 | 25 % |")
    assert lines_with(text, "accuracy of the plain model", "90.0 %")
    assert lines_with(text, "≤ 0.5 points", "31 % ± 2")
    assert lines_with(text, "balanced", "≤ 2 %", "40 % ± 1", "99.1 % ± 0.0", "0.25 ± 0.10")
    assert lines_with(text, "fast", "≤ 5 % on 1 of 2", "20 % ± 1")
    assert lines_with(text, "| Toy, tuned | onnx | 1 | 10.0 ms | 60 % | 20 % |")
    assert lines_with(text, "Nothing else ran meanwhile")


def test_other_work_beside_it_is_told() -> None:
    text = page([result(), result(3.4)])
    assert lines_with(text, "beside other work (the load of the machine was 0.2 to 3.4")


def test_the_page_of_the_docs_is_that_of_the_results() -> None:
    paths = [DOCS / "results" / f"texts_{name}.json" for name in ("sst2", "agnews", "bbc")]
    if not all(path.exists() for path in paths):
        pytest.skip("the benchmark of texts has not been run to its end: python -m benchmarks.texts")
    assert (DOCS / "text.md").read_text() == page([json.loads(path.read_text()) for path in paths])
