"""Frappe, a log of apps used in contexts (Baltrunas et al. 2015): its rows, how they are divided, and a DLRM for them.

Ten fields: user, item, daytime, weekday, weekend, homework, cost, weather, country and city. For each use of an app
there are two rows of apps that the user did not use.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from benchmarks.recsys.dlrm import DLRM
from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.sources import open_source

SIZES = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 233)
"""How many values each field has, in the order of the ids, as the data's authors say."""

WIDTH, TOP, DROPOUT, SPREAD = 64, (512, 512, 512, 512), 0.2, 0.05
"""Of the DLRM: numbers per vector, hidden layers of the top MLP, dropout behind each, spread of first embeddings.

The top MLP is as wide as those in use, and wider than these rows need: one hidden layer of 32 answers them as well.
"""


def dlrm(seed: int = 0) -> nn.Module:
    """The network, untrained: ids (B, 10) to logits (B, 1)."""
    model = DLRM(SIZES, width=WIDTH, top=TOP, dropout=DROPOUT, spread=SPREAD, seed=seed)
    model.preprocess = ClickPreprocess(SIZES)  # type: ignore[assignment]
    return model


NARROW = (512, 256)
"""Hidden layers of the top MLP as DLRM's own code has it for Criteo's small data, where nobody chose it for Frappe."""


def narrow(seed: int = 0) -> nn.Module:
    """The same with a smaller top MLP."""
    model = DLRM(SIZES, width=WIDTH, top=NARROW, dropout=DROPOUT, spread=SPREAD, seed=seed)
    model.preprocess = ClickPreprocess(SIZES)  # type: ignore[assignment]
    return model


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows with their labels.

    Attributes:
        ids: (N, 10), counted within each field.
        clicks: (N,), 1 for an app that was used.
    """

    ids: Int[torch.Tensor, "rows fields"]
    clicks: Int[torch.Tensor, " rows"]

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, index: Int[np.ndarray, " chosen"]) -> "Rows":
        """Some of the rows."""
        chosen = torch.from_numpy(index)
        return Rows(self.ids[chosen], self.clicks[chosen])


def rows_of(path: Path) -> tuple[Rows, Int[np.ndarray, " rows"]]:
    """The rows of a file without those whose ids another row has before them, and which ones these are, from 0."""
    source = open_source(path, ClickPreprocess(SIZES))
    ids = source.inputs(np.arange(len(source)))
    assert isinstance(ids, torch.Tensor)
    first = np.sort(np.unique(ids.numpy(), axis=0, return_index=True)[1])
    return Rows(ids, torch.from_numpy(source.labels())).at(first), first


def parts(rows: int, sizes: Mapping[str, int], seed: int) -> dict[str, Int[np.ndarray, " part"]]:
    """Positions of each part's rows by name: a permutation by the seed, cut in the order of `sizes`.

    Rows are drawn one by one, as in the split that is usual for this data; those of one user are in all parts. None is
    in two: `rows_of` leaves no two alike.
    """
    if sum(sizes.values()) != rows:
        raise ValueError(f"expected parts of {rows} rows together, got {dict(sizes)}; change the config")
    order = np.random.default_rng(seed).permutation(rows)
    return dict(zip(sizes, np.split(order, np.cumsum(list(sizes.values()))[:-1]), strict=True))


def write(source: Path, lines: Int[np.ndarray, " chosen"], out: Path, labels: bool = True) -> None:
    """Writes those rows of a file, counted from 0, to another, with their labels or without."""
    with gzip.open(source, "rt") as stream:
        rows = [row.strip() for row in stream]
    out.write_text("".join((rows[line] if labels else rows[line].partition(" ")[2]) + "\n" for line in lines.tolist()))
