"""Answers as they become known, in any order, in a file that a killed run leaves usable."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from offramp.arrays import Float, Int
from offramp.errors import InputError

ASKED, FILE = "asked.json", "answers.bin"


class Answers:
    """The answers to numbered samples, each kept once.

    One record after the other is appended. A record that was cut off by a kill is dropped when the file is opened
    again, and what was answered is known.

    Attributes:
        known: which samples are answered.
    """

    def __init__(self, folder: Path, asked: Mapping[str, Any], samples: int, classes: int) -> None:
        """Opens the answers in a folder, or begins them.

        Args:
            folder: where they are.
            asked: what they depend on; answers to anything else are not taken for these.
            samples: how many there are to be.
            classes: how many logits each has.

        Raises:
            InputError: if the folder holds answers to something else, or cannot be written.
        """
        told = {**asked, "samples": samples, "classes": classes}
        self._path = folder / FILE
        self._kind = np.dtype([("index", "<i8"), ("exit", "<i4"), ("score", "<f8"), ("logits", "<f4", (classes,))])
        self.known = np.zeros(samples, bool)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _check(folder / ASKED, told)
            whole = self._path.stat().st_size // self._kind.itemsize if self._path.exists() else 0
            self._stream: IO[bytes] = self._path.open("ab")
            self._stream.truncate(whole * self._kind.itemsize)
            self.known[self._records()["index"]] = True
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error.strerror}; free space or choose another place") from error

    def add(
        self,
        index: Int[np.ndarray, " some"],
        logits: Float[np.ndarray, "some classes"],
        exit_index: Int[np.ndarray, " some"],
        score: Float[np.ndarray, " some"],
    ) -> int:
        """Keeps answers, those that are known already left out.

        Returns:
            How many are known now.
        """
        new = np.flatnonzero(~self.known[index])
        records = np.empty(len(new), self._kind)
        records["index"], records["exit"] = index[new], exit_index[new]
        records["score"], records["logits"] = score[new], logits[new]
        self._stream.write(records.tobytes())
        self._stream.flush()  # what is acknowledged survives a kill of the process
        self.known[index[new]] = True
        return self.count

    @property
    def count(self) -> int:
        """How many samples are answered."""
        return int(self.known.sum())

    def close(self) -> None:
        """Nothing more is added."""
        self._stream.close()

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, int, float]]:
        """Number, logits, exit and score of each answered sample, by number."""
        found = self._records()
        for at in np.argsort(found["index"], kind="stable"):
            one = found[at]
            yield int(one["index"]), one["logits"], int(one["exit"]), float(one["score"])

    def _records(self) -> Any:
        if not self._path.stat().st_size:
            return np.empty(0, self._kind)
        return np.memmap(self._path, self._kind, mode="r")


def _check(path: Path, told: Mapping[str, Any]) -> None:
    """Notes what is asked, or compares it with what was."""
    if not path.exists():
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(told, indent=1))
        draft.replace(path)
        return
    try:
        found = json.loads(path.read_text())
    except ValueError:
        found = {}
    if found != told:
        other = ", ".join(key for key in told if found.get(key) != told[key])
        raise InputError(
            f"expected the unfinished run in {path.parent} to be of the same {other}, got another; finish that one, "
            "delete the folder, or choose another --out"
        )
