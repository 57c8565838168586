import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from offramp.cli.commands import app
from offramp.comparing import compare
from offramp.method_bench import Bench
from offramp.method_config import MethodConfig
from tests.test_comparing import TOYS, files, toys

__all__ = ["toys"]


def written(folder: Path, names: list[str]) -> Path:
    config = files(folder)
    lines = [f"{key} = {json.dumps(value)}" for key, value in (("backbone", config.backbone), ("data", config.data))]
    path = folder / "compare.toml"
    path.write_text("\n".join([*lines, f"recipes = {json.dumps(names)}", "seeds = [0, 1]"]))
    return path


def test_rows_tables_and_figure(tmp_path: Path) -> None:
    config, out = written(tmp_path, ["toy", "toy-labels"]), tmp_path / "rows.json"
    given = ["bench", "methods", str(config), "--out", str(out), "--figure", str(tmp_path / "rows.png")]
    found = CliRunner().invoke(app, given)
    assert found.exit_code == 0, found.output
    result = json.loads(out.read_text())
    assert [(row["recipe"], row["seed"]) for row in result["rows"]] == [
        (n, s) for n in ("toy", "toy-labels") for s in (0, 1)
    ]
    row = result["rows"][0]
    assert {"recipe", "backbone", "data", "seed", "labels", "cost_at_drop", "accuracy_at_cost"} <= row.keys()
    assert set(row["cost_at_drop"]) == {"0.5", "1", "2"}
    assert {"max"} <= set(row["accuracy_at_cost"]) <= {"25", "50", "75", "100", "max"}
    assert (tmp_path / "rows.png").stat().st_size > 10_000
    assert "toy-labels" in found.output
    assert "± standard deviation" in found.output


def test_the_help_has_a_whole_config() -> None:
    shown = CliRunner().invoke(app, ["bench", "methods", "--help"], terminal_width=200).output
    lines = [line.strip() for line in shown.partition("# compare.toml")[2].split("╭")[0].splitlines()]
    found = MethodConfig.model_validate(tomllib.loads("\n".join(lines)))
    assert found.recipes == ("selfxit", "selfxit-equal", "dyce-labelfree", "offramp")
    assert found.chosen("selfxit-equal").searcher == "tolerance-equal"


def test_an_interrupted_comparison_goes_on_also_with_more_in_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = written(tmp_path, ["toy", "toy-wide"]), tmp_path / "rows.json"
    given = ["bench", "methods", str(config), "--out", str(out), "--json"]
    whole = CliRunner().invoke(app, given)
    assert whole.exit_code == 0, whole.output
    rows = sorted((tmp_path / "rows.work" / "rows").rglob("*.json"))
    assert len(rows) == 4
    rows[0].unlink()

    seen: list[str] = []

    def noted(bench: Bench, names: list[str], *rest: Any) -> None:
        seen.extend(names)
        compare(bench, names, *rest)

    monkeypatch.setattr("offramp.cli.bench_methods.compare", noted)
    more = config.read_text().replace('"toy-wide"]', '"toy-wide", "own"]')
    config.write_text(f'{more}\n[variants.own]\nrecipe = "toy-wide"\nsearcher = "tolerance"\n')
    again = CliRunner().invoke(app, given)
    assert again.exit_code == 0, again.output
    assert len(seen) == 3
    assert seen.count("own") == 2
    strip = [[{**row, "seconds": 0} for row in json.loads(one.stdout)["rows"]] for one in (whole, again)]
    assert strip[0] == strip[1][:4]
    result = json.loads(again.stdout)
    assert [(row["recipe"], row["variant_of"], row["differs"]) for row in result["rows"]][3:] == [
        ("toy-wide", "toy-wide", {}),
        *[("own", "toy-wide", {"searcher": "tolerance"})] * 2,
    ]
    assert result["config"]["variants"] == {"own": {"recipe": "toy-wide", "searcher": "tolerance"}}


def test_a_config_that_is_not_there_is_an_error_in_one_line(tmp_path: Path) -> None:
    found = CliRunner().invoke(
        app, ["bench", "methods", str(tmp_path / "none.toml"), "--out", str(tmp_path / "r.json")]
    )
    assert found.exit_code != 0
    assert "could not read" in (found.output + str(found.exception))
    assert TOYS
