"""Inputs that audits of a server drew, as files of a folder: a limited number, the newest. Free of torch."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from offramp.errors import DataError, InputError

SUFFIX, FORMAT, VERSION = ".kept", "offramp-kept", "1"


@dataclass(frozen=True)
class Store:
    """A folder of files with so many samples each.

    Attributes:
        folder: is made where it is missing.
        samples: kept at most, but for a part of a file; the oldest files go first.
        size: bytes that all files may take.
        each: samples of a file.
    """

    folder: Path
    samples: int = 10_000
    size: int = 2**30
    each: int = 64

    def __post_init__(self) -> None:
        if self.samples < 1 or self.size < 1 or self.each < 1:
            raise InputError(f"expected to keep at least 1 sample in 1 byte, got {self.samples} and {self.size}")

    def prepare(self) -> None:
        """Makes the folder.

        Raises:
            InputError: if it cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            trial = self.folder / f"trial{SUFFIX}.part"
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise InputError(f"cannot keep inputs in {self.folder}: {error.strerror}; choose another folder") from error

    def write(self, rows: Sequence[Mapping[str, np.ndarray]]) -> None:
        """One file of samples of equal shapes, by input, without batch axis; then the oldest files go.

        Raises:
            InputError: if it cannot be written; what was kept before stays.
        """
        tensors = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        told = {"format": FORMAT, "version": VERSION, "inputs": json.dumps(list(rows[0]))}
        path = self.folder / f"{time.time_ns():020d}-{len(rows)}{SUFFIX}"
        draft = path.with_name(path.name + ".part")
        try:
            save_file(tensors, draft, told)
            draft.replace(path)
            self._forget()
        except (OSError, SafetensorError) as error:
            draft.unlink(missing_ok=True)
            raise InputError(f"cannot keep inputs in {self.folder}: {error}; free space or keep fewer") from error

    def _forget(self) -> None:
        files = files_in(self.folder)
        samples, size = sum(map(_samples, files)), sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if samples - _samples(path) < self.samples and size <= self.size:
                return
            samples, size = samples - _samples(path), size - path.stat().st_size
            path.unlink()


def files_in(folder: Path) -> list[Path]:
    """The files of a store, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _samples(path: Path) -> int:
    """How many samples a file has, by its name."""
    return int(path.stem.rpartition("-")[2])


def read(path: Path) -> dict[str, np.ndarray]:
    """The samples of a file by input, the batch first.

    Raises:
        DataError: if it is not one that a store wrote.
    """
    try:
        with safe_open(path, "numpy") as file:
            told = file.metadata() or {}
            if (told.get("format"), told.get("version")) != (FORMAT, VERSION):
                raise DataError(f"expected a file of {FORMAT} {VERSION}, got another in {path}; take it away")
            return {name: file.get_tensor(name) for name in json.loads(told["inputs"])}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot read {path}: {error}; take it away") from error
