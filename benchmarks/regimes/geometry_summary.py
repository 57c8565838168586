"""What the geometry of the regimes says on claims R4, R5 and R6, mean ± standard deviation over seeds.

python -m benchmarks.regimes.geometry_summary docs/results/geometry.json
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from offramp.cli.method_tables import with_spread

Run = Mapping[str, Any]
LINES = ("disjoint - mixed", "mixed - joint", "disjoint - joint", "mixed - mixed control")
"""Pairs of trainings with a line between their weights."""

MOMENTS = ("joint, at its start", "mixed, at the start of phase 2", "joint, at its end", "mixed, at its end")
"""When the gradients of the exits were looked at."""


def main() -> None:
    """Prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what `python -m benchmarks.regimes.geometry` wrote")
    print("\n".join(summary(json.loads(parser.parse_args().result.read_text())["runs"])))


def summary(runs: Sequence[Run]) -> Iterator[str]:
    """One line a figure."""
    yield f"{len(runs)} seeds"
    for pair in LINES:
        for kind in ("last", "mean"):
            height = with_spread([run["barriers"][pair][kind] for run in runs], 2)
            yield f"R4  barrier {pair}, {kind} exit(s): {height}"
    for other in ("mixed", "joint"):
        for point in runs[0]["ranks"]["disjoint"]:
            more = with_spread([run["ranks"][other][point][1] - run["ranks"]["disjoint"][point][1] for run in runs], 2)
            yield f"R5  effective rank at {point}, {other} - disjoint: {more}"
    for moment in MOMENTS:
        of_middle = with_spread([middle(run["dominance"][moment]) for run in runs], 3)
        of_first = with_spread([run["dominance"][moment][0][0] for run in runs], 3)
        yield f"R6  {moment}: share of the middle exits {of_middle}, of the first exit in the first span {of_first}"


def middle(shares: Sequence[Sequence[float]]) -> float:
    """Share of the exits between the first and the backbone's last, mean over all spans.

    >>> middle([[0.5, 0.3, 0.2], [0.0, 0.5, 0.5]])
    0.4
    """
    return float(np.mean([sum(row[1:-1]) for row in shares]))


if __name__ == "__main__":
    main()
