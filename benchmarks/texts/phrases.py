"""SST-2 phrases as factories for the command line, the longest first, so that batches hold little padding.

The data is looked for in $OFFRAMP_DATA or ../shared/data.
"""

import csv
import gzip
import os
from pathlib import Path

LABELLED = 8000
"""The first phrases of the train part, whose labels fine-tuned the model."""

UNLABELLED = 4000
"""So many behind those are used without their labels."""


def dev() -> list[tuple[str, int]]:
    """The 6,735 phrases of the dev part with their labels, which the model has not seen."""
    return sorted(_read("sst2_dev.tsv.gz"), key=_length)


def unlabelled() -> list[str]:
    """Phrases of the train part behind those whose labels trained the model."""
    rows = _read("sst2_train.tsv.gz")[LABELLED : LABELLED + UNLABELLED]
    return [text for text, _ in sorted(rows, key=_length)]


def _read(name: str) -> list[tuple[str, int]]:
    path = Path(os.environ.get("OFFRAMP_DATA", "../shared/data")) / "text" / name
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [(text, int(label)) for text, label in rows]


def _length(row: tuple[str, int]) -> int:
    return -len(row[0])
