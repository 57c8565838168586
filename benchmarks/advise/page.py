"""The page of what is foreseen and what was measured, made of the results."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.fronts import spread


def page(result: Mapping[str, Any], table: Mapping[str, Any], tables: str, command: Sequence[str]) -> str:
    """The page.

    Args:
        result: before and after on all models.
        table: of ResNet-56, as `offramp advise --out` writes it.
        tables: the same as Markdown.
        command: the words that made it.
    """
    facts = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    return "\n".join(
        [
            "# Does it pay here?",
            "",
            "`offramp advise` answers before a build by a forecast, and after it by a table at equal accuracy on this",
            "machine ([how to](how-to/advise.md)). This page holds the forecasts of four models against what was built, and",
            "shows the table of one. Made by `python -m benchmarks.advise benchmarks/advise/config.json`; results are in",
            "[advise.json](results/advise.json) and [advise_resnet56.json](results/advise_resnet56.json).",
            "",
            *_predictions(result["rows"]),
            *_limits(),
            *_table(table, tables, command),
            f"Machine: {facts}.",
            "",
        ]
    )


def _predictions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(row["model"] for row in rows))
    lines = [
        "## Foreseen and built",
        "",
        "Cost in % of the plain model's MACs at the point that is certified for 1 % of disagreement (delta = 0.1), mean ±",
        "standard deviation over three seeds. *Foreseen*: ridge probes on 2,000 unlabelled samples outside the report part,",
        "no training. *Built*: the bundle's `balanced` on its report part. ResNet-56 has heads alone from 2,500 images,",
        "MiniLM heads alone from 10,000 phrases, the DLRMs heads and a branch from 7,360 rows.",
        "",
        "| model | foreseen | built | largest difference, points | verdict before | time foreseen, 1 / 32 | time built |",
        "|---|---|---|---|---|---|---|",
    ]
    return [*lines, *(_line(name, [row for row in rows if row["model"] == name]) for name in names), ""]


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    pairs = [(row["before"]["certified"]["cost"], row["after"]["certified"]) for row in rows]
    worst = max(abs(one - other) for one, other in pairs)
    words = " / ".join(dict.fromkeys(row["before"]["verdict"]["word"] for row in rows))
    timed = [row for row in rows if row["before"]["certified"]["time"]]
    foreseen = (
        " / ".join(f"{100 * share:.0f} %" for share in timed[0]["before"]["certified"]["time"].values())
        if timed
        else ""
    )
    built = " / ".join(f"{100 * share:.0f} %" for share in timed[0]["after"]["time"].values()) if timed else ""
    cells = (name, _mean([one for one, _ in pairs]), _mean([other for _, other in pairs]), f"{100 * worst:.1f}")
    return f"| {' | '.join((*cells, words, foreseen, built))} |"


def _mean(values: list[float]) -> str:
    found = spread(values)
    return f"{100 * found['mean']:.1f} ± {100 * found['sd']:.1f}"


def _limits() -> list[str]:
    return [
        "* The forecast errs on the dear side: a ridge probe on 2,000 samples knows less than a small network taught on all",
        "  of them. Students and branches are not foreseen at all.",
        "* Probes are taught the log-probabilities of the plain model. Taught its classes, or softened probabilities, they",
        "  were 3-6 points dearer on ResNet-56; without augmented views 2 points. Random non-linear features beside the linear",
        "  ones brought nothing. That was seen on seed 0 of the first three models.",
        "* Times foreseen are sums of stage times at the batch size given; that stages take longer per sample once a batch has",
        "  shrunk is not in them.",
        "",
    ]


def _table(table: Mapping[str, Any], tables: str, command: Sequence[str]) -> list[str]:
    verdict = table["table"]["verdict"]["word"]
    return [
        "## ResNet-56, its exits, and everything else",
        "",
        "One command builds the exits (heads alone, from 2,500 unlabelled images of the half of the test set that is for",
        "development), runs the rivals, chooses and certifies the cascade, rounds to eight bits, builds exits on that, and",
        "tells all on the 750 images that trained and chose nothing:",
        "",
        f"    offramp {_shell(command)}",
        "",
        f"It says: **{verdict}**.",
        "",
        "![quality over cost](results/advise_resnet56.png)",
        "",
        tables,
        *(f"* {note}" for note in table["notes"]),
        "",
    ]


def _shell(words: Sequence[str]) -> str:
    return " ".join(word if word else '""' for word in words)
