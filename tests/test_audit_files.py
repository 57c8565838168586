"""Files of audited inputs: bounded, whole, and read as the network takes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from offramp.audit_files import SUFFIX, Store, files_in, read
from offramp.errors import DataError, InputError
from offramp.load.audited import open_audited


def rows(first: int, samples: int = 4, width: int = 3) -> list[dict[str, np.ndarray]]:
    return [{"a": np.full((width,), first + at, np.float32), "b": np.array([at])} for at in range(samples)]


def test_what_was_kept_is_read_in_its_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    store.prepare()
    store.write(rows(0))
    store.write(rows(4))
    source = open_audited(tmp_path / "kept", named=True)
    found = source.inputs(np.array([0, 5]))
    assert len(source) == 8
    assert isinstance(found, dict)
    assert found["a"].tolist() == [[0.0] * 3, [5.0] * 3]
    assert found["b"].dtype == torch.int64
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [SUFFIX] * 2
    with pytest.raises(DataError, match="expected labels"):
        source.labels()


def test_the_newest_are_read_where_only_some_are_wanted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for first in (0, 4, 8):
        store.write([{"a": row["a"]} for row in rows(first)])
    found = open_audited(tmp_path, 6).inputs(np.arange(6))
    assert isinstance(found, torch.Tensor)
    assert found[:, 0].tolist() == [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]
    assert open_audited(tmp_path, 6).fingerprint() != open_audited(tmp_path, 5).fingerprint()


def test_only_so_many_samples_and_bytes_are_kept(tmp_path: Path) -> None:
    few = Store(tmp_path / "few", samples=10)
    few.prepare()
    for first in range(0, 40, 4):
        few.write(rows(first))
    assert len(open_audited(few.folder)) == 12, "ten, and what is left of a file"
    small = Store(tmp_path / "small", size=2 * files_in(few.folder)[0].stat().st_size)
    small.prepare()
    for first in range(0, 40, 4):
        small.write(rows(first))
    assert len(files_in(small.folder)) == 2
    assert read(files_in(small.folder)[-1])["a"][0, 0] == 36.0


def test_shorter_samples_are_filled_up_with_zeros(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write([{"a": row["a"]} for row in rows(1, 1, width=5)])
    store.write([{"a": row["a"]} for row in rows(2, 1, width=2)])
    found = open_audited(tmp_path).inputs(np.arange(2))
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [[1.0] * 5, [2.0, 2.0, 0.0, 0.0, 0.0]]


def test_foreign_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--keep"):
        open_audited(tmp_path / "nothing")
    save_file({"a": np.zeros(1)}, tmp_path / f"1-1{SUFFIX}")
    with pytest.raises(DataError, match="got another in"):
        open_audited(tmp_path)
    (tmp_path / f"1-1{SUFFIX}").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="take it away"):
        open_audited(tmp_path)
    (tmp_path / f"1-1{SUFFIX}").unlink()
    Store(tmp_path).write([{"a": np.array([np.nan], np.float32)}])
    with pytest.raises(DataError, match="finite"):
        open_audited(tmp_path)
    Store(tmp_path / "mixed").prepare()
    Store(tmp_path / "mixed").write([{"a": np.zeros(1)}])
    Store(tmp_path / "mixed").write([{"b": np.zeros(1)}])
    with pytest.raises(DataError, match="another model"):
        open_audited(tmp_path / "mixed")


def test_a_folder_that_cannot_be_written_is_refused_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        Store(tmp_path / "file" / "kept").prepare()
    store = Store(tmp_path)
    store.write(rows(0))

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        store.write(rows(4))
    assert [path.suffix for path in tmp_path.iterdir() if path.name != "file"] == [SUFFIX]
    with pytest.raises(InputError, match="at least 1"):
        Store(tmp_path, samples=0)
