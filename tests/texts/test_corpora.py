import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.texts.corpora import Corpus, corpus

CONFIGS = sorted((Path(__file__).parents[2] / "benchmarks" / "texts").glob("*.json"))

ROWS = [(f"text {number} of “{number % 3}”\t", ("b", "a", "c")[number % 3]) for number in range(30)]
CONFIG: dict[str, Any] = {
    "train": "all.tsv.gz",
    "header": False,
    "columns": [0, 1],
    "order": 3,
    "labelled_rows": 10,
    "unlabelled_rows": 12,
}


def write(path: Path, rows: list[list[str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def texts_of(found: Corpus) -> list[list[str]]:
    return [[row[0] for row in rows_of(path)] for path in (found.labelled, found.unlabelled, found.test)]


def test_every_text_is_in_one_table_and_keeps_its_class(tmp_path: Path) -> None:
    rows = [[text.strip(), name] for text, name in ROWS]
    write(tmp_path / "all.tsv.gz", [*rows, *rows[:7]])
    found = corpus(CONFIG, tmp_path, tmp_path)
    parts = texts_of(found)
    assert [len(part) for part in parts] == [10, 12, 8]
    assert found.tested == 8
    assert sorted(text for part in parts for text in part) == sorted(text for text, _ in rows)
    assert parts[0] != [text for text, _ in rows[:10]], "shuffled"
    classes = {row[0]: row[1] for row in rows}
    assert found.classes == ("a", "b", "c")
    for path in (found.labelled, found.test):
        assert all(found.classes[int(label)] == classes[text] for text, label in rows_of(path))
    assert {len(row) for row in rows_of(found.unlabelled)} == {1}, "no label is written beside them"


def test_a_file_for_the_test_keeps_its_order_and_both_columns(tmp_path: Path) -> None:
    write(tmp_path / "all.tsv.gz", [["label", "text"], *([name, text.strip()] for text, name in ROWS)])
    write(tmp_path / "test.tsv.gz", [["label", "text"], ["c", "new"], ["a", "newer"]])
    config = {**CONFIG, "test": "test.tsv.gz", "header": True, "columns": [1, 0], "order": None}
    found = corpus(config, tmp_path, tmp_path)
    assert rows_of(found.test) == [["new", "2"], ["newer", "0"]]
    assert texts_of(found)[0] == [text.strip() for text, _ in ROWS[:10]]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_name_all_there_is(path: Path) -> None:
    config = json.loads(path.read_text())
    assert config["name"] == path.stem
    assert set(config["timed"]["models"]) <= set(config["models"])
    assert set(config["timed"]["seeds"]) <= set(config["seeds"])
    assert len(config["seeds"]) >= 2
    assert "onnx" in config["timed"]["backends"]
