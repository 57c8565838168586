import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from offramp.errors import BundleError, DataError, InputError, NoLabelsError
from offramp.load.click_preprocess import DENSE, SPARSE, ClickPreprocess
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.preprocess import Preprocess, as_preprocess, preprocess_from_manifest
from offramp.load.sources import open_source

ROWS = "1 0:1 4:1\n-1 3:1 5:1\n\n1 2:1 4:1 # seen twice\n"
"""Two fields, the first with the ids 0 to 3, the second with 4 and 5."""

TWO_FIELDS = ClickPreprocess((4, 2))


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def criteo_table(*rows: dict[str, str], separator: str = ",", label: bool = True) -> str:
    names = ["Id", *(["label"] if label else []), *DENSE, *SPARSE]
    filled = [{"Id": "9", "label": "0"} | row for row in rows]
    return "\n".join(separator.join(cells) for cells in [names, *([row.get(n, "") for n in names] for row in filled)])


@pytest.mark.parametrize("name", ["d.libfm", "d.libfm.gz", "d.svm", "d.SVM"])
def test_one_hot_rows(tmp_path: Path, name: str) -> None:
    source = open_source(write(tmp_path / name, ROWS), TWO_FIELDS)
    assert len(source) == 3
    assert_close(source.inputs(np.array([2, 0, 1])), torch.tensor([[2, 0], [0, 0], [3, 1]]))
    assert source.labels().tolist() == [1, 0, 1]


def test_ids_stay_as_they_are_without_a_preprocess(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "d.libfm", "1 7:1\n0 1:1 900:1 3:1\n0\n"))
    assert_close(source.inputs(np.arange(3)), torch.tensor([[7, -1, -1], [1, 900, 3], [-1, -1, -1]]))
    assert source.labels().tolist() == [1, 0, 0]


def test_fields_with_several_ids_or_none() -> None:
    batch = ClickPreprocess((4, 2), most=2, first=1).batch(["1 4:1 6:1 1:1", "0 5:1", ""])
    assert_close(batch, torch.tensor([[[3, 0], [1, -1]], [[-1, -1], [0, -1]], [[-1, -1], [-1, -1]]]))


@given(st.data())
def test_each_id_lands_in_its_field(data: st.DataObject) -> None:
    """Against a loop over the ranges, whatever the order within a row."""
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    first = data.draw(st.integers(0, 3))
    ids = st.lists(st.integers(first, first + sum(sizes) - 1), max_size=8)
    rows = data.draw(st.lists(ids, min_size=1, max_size=5))
    batch = ClickPreprocess(tuple(sizes), most=8, first=first).batch([" ".join(f"{i}:1" for i in row) for row in rows])
    assert isinstance(batch, torch.Tensor)
    for row, found in zip(rows, batch.tolist(), strict=True):
        start = first
        for size, bag in zip(sizes, found, strict=True):
            expected = [i - start for i in row if start <= i < start + size]
            assert bag == expected + [-1] * (8 - len(expected))
            start += size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0:1 4:1\n1 0:1 x:1\n", r"expected one-hot fields 'idx:1' in '.*', got 'x:1' in row 1"),
        ("1 0:1 4:0.5\n", r"got '4:0.5' in row 0; give other numbers as a table"),
        ("1 0:1 4\n", r"got '4' in row 0"),
        ("1 0:1 -4:1\n", r"got '-4:1' in row 0"),
        (f"1 0:1 {10**30}:1\n", r"got '10+:1' in row 0"),
        ("1 0:1 4:1\n\n1 0:1 6:1\n", r"expected ids 0 to 5, .* got 6 in row 1; write the id of an unknown value"),
        (
            "1 0:1 4:1\n1 0:1\n",
            r"expected one id of each of 2 fields in '.*', got 0 of field 1 \(ids 4 to 5\) in row 1",
        ),
        ("1 0:1 1:1 4:1\n", r"got 2 of field 0 \(ids 0 to 3\) in row 0; .*larger `most`"),
        ("", r"expected at least one row in '.*', got none"),
        ("\n# nothing\n", r"expected at least one row in '.*', got none"),
    ],
)
def test_unfit_rows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(tmp_path / "d.libfm", text), TWO_FIELDS)


def test_more_ids_than_a_field_has_room_for_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected at most 2 ids of each of 2 fields in the batch, got 3 of field 0"):
        ClickPreprocess((4, 2), most=2).batch(["1 0:1 1:1 2:1"])
    with pytest.raises(DataError, match=r"expected rows .* in the batch, got int in row 1"):
        TWO_FIELDS.batch(["1 0:1 4:1", 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0:1\n2 0:1\n", r"expected labels -1, 0 or 1 in '.*', got '2' in row 1; write 1 for a click"),
        ("1 0:1\nyes 0:1\n", r"got 'yes' in row 1"),
        ("-1 0:1\n0 0:1\n", r"got both -1 and 0"),
        ("1 0:1\n0:1\n", r"expected labels in '.*', got none in row 1; begin each row with 1 or 0"),
    ],
)
def test_labels_are_not_read_until_asked_for(tmp_path: Path, text: str, message: str) -> None:
    """Unfit ones are no obstacle to reading the inputs, nor part of the fingerprint."""
    source = open_source(write(tmp_path / "d.libfm", text))
    other = open_source(write(tmp_path / "e.libfm", "1 0:1\n1 0:1\n"))
    assert source.fingerprint() == other.fingerprint()
    assert source.fingerprint() != open_source(write(tmp_path / "f.libfm", "1 0:1\n1 1:1\n")).fingerprint()
    with pytest.raises(DataError, match=message):
        source.labels()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.libfm.gz").write_bytes(gzip.compress(ROWS.encode() * 99, mtime=0)[:-12])
    with pytest.raises(DataError, match=r"expected a UTF-8 table in"):
        open_source(tmp_path / "d.libfm.gz")


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "d.tsv"])
def test_criteo_columns(tmp_path: Path, name: str) -> None:
    table = criteo_table(
        {"label": "1", "I1": "3", "I2": "-2", "C1": "68fd1e64", "C26": "a"},
        {"I13": "0", "C1": "ff"},
        separator="\t" if ".tsv" in name else ",",
    )
    source = open_source(write(tmp_path / name, table), ClickPreprocess.criteo(100))
    batch = source.inputs(np.array([1, 0]))
    assert isinstance(batch, dict)
    dense, sparse = torch.zeros(2, 13), torch.zeros(2, 26, dtype=torch.int64)
    dense[1, 0] = math.log(4)
    sparse[0, 0], sparse[1, 0], sparse[1, 25] = 255 % 100, 0x68FD1E64 % 100, 10
    assert_close(batch, {"dense": dense, "sparse": sparse})
    assert source.labels().tolist() == [1, 0]


def test_rows_as_they_come_to_a_server_are_read_like_a_file(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"I1": "3", "C1": "1f"}, {"I2": "7", "C2": "0"}]
    preprocess = ClickPreprocess.criteo(10)
    read = open_source(write(tmp_path / "d.csv", criteo_table(*rows)), preprocess).inputs(np.arange(2))
    blank: dict[str, Any] = dict.fromkeys((*DENSE, *SPARSE))
    assert_close(
        preprocess.batch([blank | {"I1": 3, "C1": "1F"}, blank | {"I2": 7.0, "I3": math.nan, "C2": "0"}]), read
    )
    with pytest.raises(DataError, match=r"names I1 to I13 and C1 to C26 in row 1 of the batch, got none of 'I1'"):
        preprocess.batch([blank, {"C1": "1f"}])
    with pytest.raises(DataError, match=r"in row 0 of the batch"):
        preprocess.batch(["1\t2"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"I3": "x"}, r"expected numbers in column I3 of '.*', got 'x' in row 1; leave it empty"),
        ({"I3": "inf"}, r"column I3 of '.*', got 'inf' in row 1"),
        ({"C4": "xyz"}, r"expected hexadecimal digits in column C4 of '.*', got 'xyz' in row 1"),
        ({"C4": "-1f"}, r"got '-1f' in row 1"),
        ({"C4": "0x1f"}, r"got '0x1f' in row 1"),
    ],
)
def test_unfit_cells_are_refused(tmp_path: Path, row: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(tmp_path / "d.csv", criteo_table({}, row)), ClickPreprocess.criteo(10))


def test_unfit_criteo_tables_are_refused(tmp_path: Path) -> None:
    preprocess = ClickPreprocess.criteo(10)
    with pytest.raises(DataError, match=r"expected at least one row"):
        open_source(write(tmp_path / "d.csv", criteo_table()), preprocess)
    with pytest.raises(DataError, match=r"expected a header with I1 to I13 and C1 to C26 in .*, got none of I2, C26; "):
        open_source(write(tmp_path / "d.csv", criteo_table({}).replace("I2,", "J2,").replace("C26", "D")), preprocess)
    unlabelled = open_source(write(tmp_path / "d.csv", criteo_table({}, label=False)), preprocess)
    with pytest.raises(NoLabelsError, match=r"got columns Id, I1, .*; add a column 'label'"):
        unlabelled.labels()
    with pytest.raises(DataError, match=r"got '3' in row 1"):
        open_source(write(tmp_path / "e.csv", criteo_table({}, {"label": "3"})), preprocess).labels()


@pytest.mark.parametrize(
    ("name", "text", "preprocess", "message"),
    [
        ("d.libfm", ROWS, ClickPreprocess.criteo(4), r"a model that takes one-hot rows for .*preprocessing is criteo"),
        ("d.libfm", ROWS, ImagePreprocess(), r"a model that takes one-hot rows for .* is ImagePreprocess"),
        ("d.csv", criteo_table({}), TWO_FIELDS, r"a model that takes criteo rows for .* is one-hot"),
    ],
)
def test_a_model_of_other_rows_is_named(
    tmp_path: Path, name: str, text: str, preprocess: Preprocess, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        open_source(write(tmp_path / name, text), preprocess)


@pytest.mark.parametrize("preprocess", [TWO_FIELDS, ClickPreprocess((3,), most=4, first=1), ClickPreprocess.criteo(7)])
def test_a_bundle_keeps_it(preprocess: ClickPreprocess) -> None:
    assert preprocess_from_manifest(json.loads(json.dumps(preprocess.to_manifest()))) == preprocess
    assert as_preprocess(preprocess, "the model") is preprocess


@pytest.mark.parametrize(
    "manifest", [{}, {"sizes": [0]}, {"sizes": 3}, {"sizes": [3], "schema": "x"}, {"sizes": [], "n": 1}]
)
def test_damaged_records_are_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"expected a record of preprocessing"):
        preprocess_from_manifest({"kind": "clicks"} | manifest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": ()}, "expected sizes of at least 1"),
        ({"sizes": (3,), "schema": "avazu"}, "expected schema 'one-hot' or 'criteo', got 'avazu'"),
        ({"sizes": (3,), "schema": "criteo"}, "expected 26 sizes"),
        ({"sizes": (3,), "most": 0}, "expected most of at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ClickPreprocess(**arguments)


def test_frappe(shared: Callable[[str], Path]) -> None:
    """Against the counts that its authors give: 57,722 rows, a third of them used."""
    source = open_source(
        shared("recsys/frappe.validation.libfm.gz"), ClickPreprocess((957, 4082, 7, 7, 2, 3, 2, 9, 80, 233))
    )
    assert len(source) == 57_722
    assert source.labels().sum() == 19_063
    assert source.inputs(np.array([0])).tolist() == [[266, 287, 3, 3, 1, 0, 0, 2, 5, 0]]  # type: ignore[union-attr]
