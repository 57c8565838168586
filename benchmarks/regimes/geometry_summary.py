"""What the geometry of the regimes says on claims R4, R5 and R6, mean ± standard deviation over seeds.

python -m benchmarks.regimes.geometry_summary docs/results/geometry.json
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Run = Mapping[str, Any]
LINES = ("disjoint - mixed", "mixed - joint", "disjoint - joint", "mixed - mixed control")
MOMENTS = ("joint, at its start", "mixed, at the start of phase 2", "joint, at its end", "mixed, at its end")


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
            height = _said(runs, lambda run, p=pair, k=kind: run["barriers"][p][k])  # type: ignore[misc]
            yield f"R4  barrier {pair}, {kind} exit(s): {height}"
    for other in ("mixed", "joint"):
        for point in runs[0]["ranks"]["disjoint"]:
            less = _said(runs, lambda run, o=other, p=point: run["ranks"][o][p][1] - run["ranks"]["disjoint"][p][1])  # type: ignore[misc]
            yield f"R5  effective rank at {point}, {other} - disjoint: {less}"
    for moment in MOMENTS:
        of_middle = _said(runs, lambda run, m=moment: middle(run["dominance"][m]), 3)  # type: ignore[misc]
        of_first = _said(runs, lambda run, m=moment: run["dominance"][m][0][0], 3)  # type: ignore[misc]
        yield f"R6  {moment}: share of the middle exits {of_middle}, of the first exit in the first span {of_first}"


def middle(shares: Sequence[Sequence[float]]) -> float:
    """Share of the exits between the first and the backbone's last, mean over all spans.

    >>> middle([[0.5, 0.3, 0.2], [0.0, 0.5, 0.5]])
    0.4
    """
    return float(np.mean([sum(row[1:-1]) for row in shares]))


def _said(runs: Sequence[Run], of: Callable[[Run], float], digits: int = 2) -> str:
    found = [of(run) for run in runs]
    spread = f" ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 else ""
    return f"{np.mean(found):.{digits}f}{spread}"


if __name__ == "__main__":
    main()
