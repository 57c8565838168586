"""Every block of code in the README and the docs is run, or parsed where its page says why it is not run."""

import re
from pathlib import Path

import pytest
from benchmarks.torchvision_shim import install

from tests.docs import standins
from tests.docs.blocks import ROOT, blocks, pages
from tests.docs.running import Reader, check

LONG = {"README", "start", "fast", "backbone", "text", "serve", "deploy", "report", "advise"}
"""Pages that take half a minute or more."""

WITH_BUNDLE = {"serve"}
"""Pages that take a bundle for granted."""

RUN = [page for page in pages() if any(block.duty == "executed" for block in blocks(page))]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standins.make(tmp_path_factory.mktemp("standins"))


@pytest.fixture(scope="session")
def with_bundle(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with_bundle")
    standins.copy(made, folder)
    return standins.with_bundle(folder)


@pytest.mark.docs
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in LONG), id=page.stem) for page in RUN]
)
def test_the_blocks_of_a_page_run(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()  # timm and transformers import torchvision as well
    standins.copy(request.getfixturevalue("with_bundle" if page.stem in WITH_BUNDLE else "made"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    reader = Reader()
    reader.read(page)
    expect(page.stem, reader, tmp_path)


@pytest.mark.docs
@pytest.mark.parametrize("page", [page for page in pages() if page not in RUN], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_could_be_run(page: Path) -> None:
    for block in blocks(page):
        check(block)


def expect(page: str, reader: Reader, folder: Path) -> None:
    """What the text of a page says of its blocks."""
    said, names = reader.said, reader.names
    if page == "README":
        assert names["outcome"].output.shape == (32, 4)
    if page == "any-model":
        assert "'cross.0'" in said
        assert "['one', 'two']" in said
        assert "layer1.0" in said
        assert "bert.encoder.layer.1 ('" in said
    if page == "fast":
        assert all(column in said for column in ("ms", "time", "plan", "ideal", "achieved", "even"))
        assert {"speed.png", "tuned", "answers.csv"} <= {path.name for path in folder.iterdir()}
        assert "bundle for onnx: tuned" in said
        assert re.search(r"^1 \d+\.\d+ (the plain model|[a-z0-9-]+)$", said, re.MULTILINE)
        assert len((folder / "answers.csv").read_text().splitlines()) == 2001
    if page == "cascade":
        assert re.search(r"^[1-9]\d* of 500 digits did not need the big model$", said, re.MULTILINE)
    if page == "advise":
        assert "before a build: " in said
        assert re.search(r"^at equal accuracy: (pays|a smaller model pays more|don't|depends)$", said, re.MULTILINE)
        assert re.search(r"^(True|False) \[\('drop of accuracy', -?\d+\.\d+\)\]$", said, re.MULTILINE)
        assert "| nets.py" not in (folder / "table.md").read_text()
    if page == "certify":
        assert "on average over draws of the certify part; on a given one they may fail" in " ".join(said.split())
        assert "with probability" not in said
        assert re.search(r"^disagreement at most 5 % on average over draws of the certify part, at \d+ %", said, re.M)
    if page == "serve":
        assert re.search(r"^\[[0-3 ]+\] \[(\d+)( \1){7}\] \[", said, re.MULTILINE)
        assert names["server"].returncode == 0
    if page == "text":
        assert len((folder / "answers.csv").read_text().splitlines()) == 501
        assert re.search(r"^\[1 0\] \[\d \d\]$", said, re.MULTILINE)
        assert re.search(r"^\[1 0 0\] \[\d \d \d\] 1$", said, re.MULTILINE)
        assert names["server"].returncode == 0
    if page == "memory":
        size, outputs = 4 * 4 * (64 * 64 + 64) + 4 * (64 * 4 + 4), 4 * (8 * 64 + 4)
        assert f"uncut {size} 0 {outputs:.1f} " in said


def test_every_page_of_how_to_has_code_that_runs() -> None:
    assert {page for page in (ROOT / "docs/how-to").glob("*.md") if page.stem != "index"} <= set(RUN)
