import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from offramp.errors import DataError, InputError
from offramp.inputs import Inputs
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.sources import open_source


class Lengths:
    """A tokenizer that knows how long a text is."""

    def batch(self, items: Any) -> Inputs:
        return {"length": torch.tensor([len(item) for item in items])}

    def to_manifest(self) -> dict[str, Any]:
        return {}


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.csv", 'id,text,other,label\n1,"a, b",x,yes\n2,abc,y,no\n'),
        ("d.csv.gz", "sentence,label\na bb,yes\nabc,no\n"),
        ("d.tsv", 'id\tbody\tlabel\n1\ta bb\tyes\n2\t"bc\tno\n'),
        ("d.tsv.gz", "\ufefftext\ty\na bb\tyes\nabc\tno\n"),
    ],
)
def test_texts(tmp_path: Path, name: str, text: str) -> None:
    source = open_source(write(tmp_path / name, text), Lengths())
    assert len(source) == 2
    assert_close(source.inputs(np.array([1, 0])), {"length": torch.tensor([3, 4])})
    assert source.labels().tolist() == [1, 0]


def test_numbers(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "d.csv", "a,target,b\n1,0,2.5\n3,1,-4e1\n"))
    assert_close(source.inputs(np.arange(2)), torch.tensor([[1, 2.5], [3, -40]]))
    assert source.labels().tolist() == [0, 1]


def test_the_column_of_labels_is_not_read(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "d.csv", "a,b,label\n1,2,nan\n"))
    assert_close(source.inputs(np.arange(1)), torch.tensor([[1.0, 2.0]]))
    with pytest.raises(DataError, match=r"expected finite labels"):
        source.labels()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "expected rows with columns of inputs"),
        ("", "expected rows with columns of inputs"),
        ("label\n1\n", "expected rows with columns of inputs"),
        ("a,b\n1,2\n3\n", "expected 2 cells in row 1 of .*, got 1; check quotes and separators"),
        ("a,b\n1,2\n3,\n", "NaN or infinity in sample 1"),
        ("a,b\nx,y\n", "one column of text, in .*, got text in a, b; name the text column 'text'"),
    ],
)
def test_unfit_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(tmp_path / "d.csv", text))


def test_tables_without_labels(tmp_path: Path) -> None:
    for preprocess, text in ((None, "a,b\n1,2\n"), (Lengths(), "text\nx\n")):
        source = open_source(write(tmp_path / "d.csv", text), preprocess)
        with pytest.raises(DataError, match=r"expected labels in .*, got columns .*; add a column 'label'"):
            source.labels()


@pytest.mark.parametrize("preprocess", [None, ImagePreprocess()])
def test_texts_need_a_tokenizer(tmp_path: Path, preprocess: ImagePreprocess | None) -> None:
    with pytest.raises(DataError, match=r"expected a tokenizer for the texts in"):
        open_source(write(tmp_path / "d.csv", "text\nx\n"), preprocess)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", b"a\n\xff\xfe\n"),
        ("d.csv.gz", b"not gzip"),
        ("e.csv.gz", gzip.compress(b"a\n1\n" * 99, mtime=0)[:-12]),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"expected a UTF-8 table in"):
        open_source(tmp_path / name)


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"text": ["a", "bc"], "label": ["no", "yes"]}
    parquet.write_table(pytest.importorskip("pyarrow").table(table), tmp_path / "d.parquet")
    source = open_source(tmp_path / "d.parquet", Lengths())
    assert_close(source.inputs(np.arange(2)), {"length": torch.tensor([1, 2])})
    assert source.labels().tolist() == [0, 1]


def test_parquet_names_the_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    write(tmp_path / "d.parquet", json.dumps({}))
    with pytest.raises(
        InputError, match=r"expected the package pyarrow for parquet tables, .*; run pip install pyarrow"
    ):
        open_source(tmp_path / "d.parquet")


def test_sst2(shared: Callable[[str], Path]) -> None:
    source = open_source(shared("text/sst2_dev.tsv.gz"), Lengths())
    assert set(source.labels().tolist()) == {0, 1}
    assert len(source.labels()) == len(source)
