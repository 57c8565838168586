"""The code of the how-to pages is run, each page from top to bottom."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from benchmarks.torchvision_shim import install

from offramp.cli.app import main

PAGES = sorted((Path(__file__).parents[2] / "docs" / "how-to").glob("*.md"))


LONG = {"advise", "fast", "backbone", "text"}
"""Pages that take half a minute or more."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in LONG), id=page.stem) for page in PAGES],
)
def test_the_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install()  # timm and transformers import torchvision as well
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    blocks = re.findall(r"```(python|sh)\n(.*?)```", page.read_text(), re.DOTALL)
    assert any(kind == "python" for kind, _ in blocks)
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, page.name, "exec"), found)
            continue
        for line in block.splitlines():
            assert line.startswith("offramp "), line
            assert main(shlex.split(line)[1:]) == 0, line
    said = capsys.readouterr().out
    if page.stem == "any-model":
        assert "'cross.0'" in said
        assert "['one', 'two']" in said
        assert "layer1.0" in said
        assert "bert.encoder.layer.1 ('" in said
    if page.stem == "fast":
        assert all(column in said for column in ("ms", "time", "plan", "ideal", "achieved", "even"))
        assert {"speed.png", "tuned", "answers.csv"} <= {path.name for path in tmp_path.iterdir()}
        assert "bundle for onnx: tuned" in said
        assert re.search(r"^1 \d+\.\d+ (the plain model|[a-z0-9-]+)$", said, re.MULTILINE)
        assert len((tmp_path / "answers.csv").read_text().splitlines()) == 2001
    if page.stem == "cascade":
        assert re.search(r"^[1-9]\d* of 500 digits did not need the big model$", said, re.MULTILINE)
    if page.stem == "advise":
        assert "before a build: " in said
        assert re.search(r"^at equal accuracy: (pays|a smaller model pays more|don't|depends)$", said, re.MULTILINE)
        assert re.search(r"^(True|False) \[\('drop of accuracy', -?\d+\.\d+\)\]$", said, re.MULTILINE)
        assert "| nets.py" not in (tmp_path / "table.md").read_text()
    if page.stem == "certify":
        assert "on average over draws of the certify part; on a given one they may fail" in " ".join(said.split())
        assert "with probability" not in said
        assert re.search(r"^disagreement at most 5 % on average over draws of the certify part, at \d+ %", said, re.M)
    if page.stem == "serve":
        assert re.search(r"^\[[0-3 ]+\] \[(\d+)( \1){7}\] \[", said, re.MULTILINE)
        assert found["server"].returncode == 0
    if page.stem == "text":
        assert len((tmp_path / "answers.csv").read_text().splitlines()) == 501
        assert re.search(r"^\[1 0\] \[\d \d\]$", said, re.MULTILINE)
        assert re.search(r"^\[1 0 0\] \[\d \d \d\] 1$", said, re.MULTILINE)
        assert found["server"].returncode == 0
    if page.stem == "memory":
        size, outputs = 4 * 4 * (64 * 64 + 64) + 4 * (64 * 4 + 4), 4 * (8 * 64 + 4)
        assert f"uncut {size} 0 {outputs:.1f} " in said
