"""One style for all figures: accessible colours (Okabe-Ito), thin frames, files without a display."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from offramp.arrays import Num
from offramp.errors import InputError
from offramp.report.paths import figure_path

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"

SERIES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours of lines that have nothing else to tell them apart."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "offramp",
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure that is written to `path` when the block ends, all or nothing; the suffix says the format."""
    figure_path(path)
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        draft = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn.savefig(draft, dpi=150, format=path.suffix[1:].lower())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise InputError(
                f"cannot write the figure {path}: {error.strerror or error}; free space or choose another place"
            ) from error


def banded(
    axes: Axes,
    x: Num[np.ndarray, " places"],
    values: Num[np.ndarray, "seeds places"],
    colour: str,
    label: str | None,
    **line: Any,
) -> None:
    """A line of means over seeds, with a band of one standard deviation where there are several."""
    mean = values.mean(axis=0)
    axes.plot(x, mean, color=colour, label=label, **line)
    if len(values) > 1:
        spread = values.std(axis=0, ddof=1)
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
