"""Data sets as tables: rows whose labels tune the model, rows without labels for its exits, and rows that test both."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Row = tuple[str, int]
"""A text and its class."""


@dataclass(frozen=True)
class Corpus:
    """The tables of a data set.

    Attributes:
        labelled: texts with the classes that tune the model.
        unlabelled: other texts, without classes.
        test: texts with classes, which neither has seen.
        classes: names, by number.
        tested: how many rows `test` has.
    """

    labelled: Path
    unlabelled: Path
    test: Path
    classes: tuple[str, ...]
    tested: int


def corpus(config: dict[str, Any], root: Path, work: Path) -> Corpus:
    """The tables, written to the folder `work`, as the config divides the rows of the files below `root`.

    Where it has an `order` (a seed), texts that occur again are left out, and the rest is shuffled. Where there is no
    file for the test, the rows behind the others are it.
    """
    texts, names = read(root / config["train"], config)
    if config.get("order") is not None:
        once = list(dict(zip(texts, range(len(texts)), strict=True)).values())
        kept = np.random.default_rng(config["order"]).permutation(once).tolist()
        texts, names = [texts[row] for row in kept], [names[row] for row in kept]
    classes = tuple(sorted(set(names)))
    rows = _numbered(texts, names, classes)
    first, second = config["labelled_rows"], config["labelled_rows"] + config["unlabelled_rows"]
    test = _numbered(*read(root / config["test"], config), classes) if "test" in config else rows[second:]
    labelled, unlabelled, tested = (work / f"{part}.csv" for part in ("labelled", "unlabelled", "test"))
    found = Corpus(labelled, unlabelled, tested, classes, len(test))
    _write(found.labelled, ["text", "label"], rows[:first])
    _write(found.unlabelled, ["text"], ([text] for text, _ in rows[first:second]))
    _write(found.test, ["text", "label"], test)
    return found


def read(path: Path, config: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The texts of a file and the names of their classes, by the positions of both columns."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if config["header"]:
        rows = rows[1:]
    text, label = config["columns"]
    return [row[text] for row in rows], [row[label] for row in rows]


def _numbered(texts: Sequence[str], names: Sequence[str], classes: Sequence[str]) -> list[Row]:
    return [(text, classes.index(name)) for text, name in zip(texts, names, strict=True)]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
