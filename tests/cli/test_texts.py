"""The command line on texts, from a table to predictions and to a folder that is served."""

import csv
import json
from pathlib import Path

import pytest

from offramp.bundle import Bundle
from offramp.load.models import load_model
from offramp.run.routing import Routing
from offramp.tokeniser import FILE
from tests.cli.test_run import rows
from tests.cli.world import QUICK, Ran, offramp, refused
from tests.films import LENGTH, POSITIONS, home, preprocess, saved, texts

LONG = "film " * 100


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "films.csv"
    write(path, [*texts(297), LONG, LONG, "good 😀"])
    return path


@pytest.fixture(scope="module")
def built(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    bundle = tmp_path_factory.mktemp("built") / "bundle"
    wishes = ("--data", data, "--out", bundle, "--max-length", LENGTH, "--points", "share:0.5", *QUICK)
    return bundle, offramp("build", f"transformers:{home()}", *wishes)


def write(path: Path, some: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["text"], *([one] for one in some)])


def test_a_build_says_how_many_texts_it_cut(built: tuple[Path, Ran], data: Path) -> None:
    bundle, ran = built
    assert ran.code == 0, ran
    assert f"2 of 300 texts in {data} are cut behind {LENGTH} tokens" in ran.out
    manifest = Bundle.load(bundle).manifest
    assert manifest.data.cut == 2
    assert manifest.preprocess == preprocess().to_manifest()


def test_predictions_are_those_of_the_model(built: tuple[Path, Ran], data: Path, tmp_path: Path) -> None:
    bundle, _ = built
    out = tmp_path / "p.csv"
    ran = offramp("run", bundle, "--data", data, "--point", "fastest", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    model = load_model(f"transformers:{home()}").model
    some = [*texts(297), LONG, LONG, "good 😀"]
    told = Bundle.load(bundle).attach(model).use("fastest")(preprocess().batch(some))
    found = rows(out)
    assert [int(row["prediction"]) for row in found] == told.output.argmax(1).tolist()
    assert [int(row["exit_index"]) for row in found] == told.exit_index.tolist()


def test_an_export_has_its_tokenizer(built: tuple[Path, Ran], tmp_path: Path) -> None:
    bundle, _ = built
    ran = offramp("export", bundle, "--point", "full", "--out", tmp_path / "stages")
    assert (ran.code, ran.err) == (0, "")
    assert Routing.read(tmp_path / "stages").max_length == LENGTH
    assert json.loads((tmp_path / "stages" / FILE).read_text(encoding="utf-8"))["truncation"]["max_length"] == LENGTH


def test_a_tokenizer_that_is_gone_is_told(built: tuple[Path, Ran], tmp_path: Path) -> None:
    """The weights alone are enough to export; the folder of the model has the tokenizer, wherever it is now."""
    bundle, _ = built
    manifest = bundle / "manifest.json"
    there = manifest.read_text()
    try:
        manifest.write_text(there.replace(f'"source": "{home()}"', '"source": "/gone/film"'))
        moved = saved(tmp_path / "film")
        ran = offramp("export", bundle, f"transformers:{moved}", "--point", "full", "--out", tmp_path / "with")
        assert (ran.code, ran.err) == (0, "")
        assert (tmp_path / "with" / FILE).exists()
        for name in (FILE, "tokenizer_config.json", "vocab.txt"):
            (moved / name).unlink(missing_ok=True)
        ran = offramp("export", bundle, f"transformers:{moved}", "--point", "full", "--out", tmp_path / "without")
        assert ran.code == 0
        assert "token ids are exported, and no texts: expected a tokenizer at '/gone/film'" in ran.err
        assert not (tmp_path / "without" / FILE).exists()
        assert Routing.read(tmp_path / "without").max_length is None
    finally:
        manifest.write_text(there)


def test_lengths_that_cannot_be_are_refused_before_any_pass(data: Path, tmp_path: Path) -> None:
    def wish(length: int, *more: str) -> list[str]:
        return [f"transformers:{home()}", "--data", str(data), "--max-length", str(length), *more]

    out = ("--out", tmp_path / "b")
    refused("build", *wish(POSITIONS + 1), *out, saying=[f"max_length of at most {POSITIONS}", "longer texts are cut"])
    refused("build", *wish(8, "--size", "4x4"), *out, saying="--max-length alone")
    refused("inspect", *wish(POSITIONS + 1), saying=f"max_length of at most {POSITIONS}")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"text\n", "expected rows"),
        (b"text,label\ngood,1\nbad\n", "expected 2 cells in row 1"),
        (b"text\ncaf\xe9\n", "expected a UTF-8 table"),
        (b"one,two\ngood,bad\ngood,bad\n", "name the text column 'text'"),
    ],
)
def test_tables_that_are_wrong_are_refused(built: tuple[Path, Ran], tmp_path: Path, table: bytes, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(table)
    refused("run", built[0], "--data", path, "--out", tmp_path / "p.csv", saying=said)
