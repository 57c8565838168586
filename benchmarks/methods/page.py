"""The rows of `offramp bench methods` as Markdown: means over the seeds, ± their standard deviation.

python -m benchmarks.methods.page docs/results/methods_resnet56.json docs/results/methods_resnet56_rest.json
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from offramp.cli.method_tables import DROPS, Row, mean_of, said


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="what `offramp bench methods` wrote")
    given = parser.parse_args()
    rows = [row for path in given.results for row in json.loads(path.read_text())["rows"]]
    print("\n".join(table(rows)))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """One line a recipe, the cheapest at one point of drop first.

    Costs are in % of the backbone's MACs. *Chosen*: on the choose part, with what it turned out to do at 1 point on the
    report part; *read off*: on the report part itself, as papers do; *certified*: for 1 % disagreement.
    """
    by: dict[str, list[Row]] = {}
    for row in rows:
        if any(other["seed"] == row["seed"] for other in by.setdefault(row["recipe"], [])):
            raise SystemExit(
                f"expected each row once, got {row['recipe']} with seed {row['seed']} twice; name each file once"
            )
        by[row["recipe"]].append(row)
    chosen = ", ".join(f"≤ {drop}" for drop in DROPS)
    yield f"| recipe | labels | seeds | chosen, {chosen} | drop | disagree | read off, {chosen} | certified | oracle |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, found in sorted(by.items(), key=lambda one: mean_of(one[1], lambda row: row["cost_at_drop"]["1"])):
        told = (
            name,
            "yes" if found[0]["labels"] else "no",
            str(len(found)),
            ", ".join(said(found, lambda row, drop=drop: 100 * row["cost_at_drop"][drop]) for drop in DROPS),  # type: ignore[misc]
            said(found, lambda row: row["chosen"]["1"]["drop"], 2),
            said(found, lambda row: row["chosen"]["1"]["disagreement"], 2),
            ", ".join(said(found, lambda row, drop=drop: 100 * row["read_off"][drop]) for drop in DROPS),  # type: ignore[misc]
            said(found, lambda row: 100 * (row["certified"]["cost"] if row["certified"] else 1.0)),
            said(found, lambda row: 100 * row["oracle_cost"]),
        )
        yield f"| {' | '.join(told)} |"


if __name__ == "__main__":
    main()
