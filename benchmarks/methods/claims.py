"""What the rows of claims.toml say about each claim: mean over the seeds, standard deviation, and the sign by seed.

    offramp bench methods benchmarks/methods/claims.toml --out docs/results/claims.json
    python -m benchmarks.methods.claims docs/results/claims.json

Differences are taken seed by seed, so on the same images.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.methods.questions import QUESTIONS, Question, Row, Seed
from offramp.cli.method_tables import with_spread


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what `offramp bench methods` wrote")
    parser.add_argument("--claim", help="only this one, such as J5")
    given = parser.parse_args()
    asked = [one for one in QUESTIONS if given.claim in (None, one.claim)]
    print("\n".join(table(json.loads(given.result.read_text())["rows"], asked)))


def by_seed(rows: Sequence[Row]) -> list[Seed]:
    """The rows of each seed by recipe."""
    found: dict[int, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["seed"], {})[row["recipe"]] = row
    return list(found.values())


def values(question: Question, seeds: Sequence[Seed]) -> list[float]:
    """The number of each seed that has one."""
    found = (question.asked(seed) for seed in seeds)
    return [float(one) for one in found if one is not None]


def table(rows: Sequence[Row], asked: Sequence[Question] = QUESTIONS) -> Iterator[str]:
    """Markdown, one line a question; those that no seed answers are left out."""
    seeds = by_seed(rows)
    yield "| claim | what | mean ± standard deviation | by seed |"
    yield "|---|---|---|---|"
    for question in asked:
        found = values(question, seeds)
        if found:
            each = ", ".join(f"{one:.2f}" for one in found)
            yield f"| {question.claim} | {question.text} | {with_spread(found, 2)} | {each} |"


if __name__ == "__main__":
    main()
