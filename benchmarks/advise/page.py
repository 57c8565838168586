"""The page of what is foreseen and what was measured, made of the results."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from benchmarks.fronts import spread

WIDTH = 124
"""Letters in a line of prose."""

INTRODUCTION = """`offramp advise` answers before a build by a forecast, and after it by a table at equal accuracy
on this machine ([how to](how-to/advise.md)). This page holds forecasts against what was built, and shows the table
of one model. Made by `python -m benchmarks.advise benchmarks/advise/config.json`; results are in
[advise.json](results/advise.json) and [advise_resnet56.json](results/advise_resnet56.json)."""

FORESEEN = """Cost in % of the plain model's MACs at the point that is certified for 1 % of disagreement (δ = 0.1),
mean ± standard deviation over three seeds. *Foreseen*: ridge probes on 4,000 unlabelled samples outside the report
part, no training; *probes*: the same before the learning curve is followed on.
*Built*: the bundle's `balanced` on its report part. ResNet-56 has heads alone from 2,500 images, MiniLM heads alone
from 10,000 phrases, the DLRMs heads and a branch from 7,360 rows. Times are of seed 0, in % of the plain model's in
PyTorch at batch 1 and 32."""

LIMITS = (
    """The forecast of MACs errs on the dear side: a ridge probe knows less than a small network taught for long on many
views. Students and branches are not foreseen at all.""",
    """The share by which costs fall from probes on a quarter of the samples to those on three quarters, in the
mean over four levels of disagreement, is followed on to as many samples as heads learn from. Without that, and
with 2,000 samples, MiniLM was foreseen 8 to 14 points too dear; read at one level it was 1 to 11 points off. Both
were changed when that was seen, on these very models.""",
    """Probes are taught the log-probabilities of the plain model. Taught its classes, or softened probabilities,
they were 3-6 points dearer on ResNet-56; without augmented views 2 points. Random non-linear features instead of
the linear ones or beside them, and logistic regression, brought nothing on MiniLM. These choices were made in
view of the models of this table.""",
    """Times foreseen are sums of stage times at the batch size given, and of what the run loop takes while nobody
leaves; that stages take longer per sample once a batch has shrunk, and what it takes to part a batch, are not in
them, so they are on the low side. Both count on models as small as the DLRMs.""",
)

MADE = """One command builds the exits (heads alone, from 2,500 unlabelled images of the half of the test set that
is for development), runs the rival, chooses and certifies the cascade, rounds to eight bits, builds exits on that,
and tells all of the 750 images that trained and chose nothing:"""


def page(result: Mapping[str, Any], table: Mapping[str, Any], tables: str, command: Sequence[str]) -> str:
    """The page.

    Args:
        result: before and after on all models.
        table: of ResNet-56, as `offramp advise --out` writes it.
        tables: the same as Markdown.
        command: the words that made it.
    """
    facts = ", ".join(f"{name} {value}" for name, value in table["machine"].items())
    return "\n".join(
        [
            "# Does it pay here?",
            "",
            _prose(INTRODUCTION),
            "",
            *_predictions(result["rows"]),
            *(_prose(one, "* ") for one in LIMITS),
            "",
            *_table(table, tables, command),
            f"Machine of the table: {facts}.",
            "",
        ]
    )


def _prose(text: str, bullet: str = "") -> str:
    one_line = " ".join(text.split())
    return fill(one_line, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False)


def _predictions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(row["model"] for row in rows))
    heads = (
        "model",
        "foreseen",
        "probes",
        "built",
        "largest difference, points",
        "verdict before",
        "time foreseen",
        "time built",
    )
    lines = ["## Foreseen and built", "", _prose(FORESEEN), "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return [*lines, *(_line(name, [row for row in rows if row["model"] == name]) for name in names), ""]


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    pairs = [(row["before"]["certified"]["cost"], row["after"]["certified"]) for row in rows]
    worst = max(abs(one - other) for one, other in pairs)
    timed = [row for row in rows if row["before"]["certified"]["time"]][:1]
    words = " / ".join(dict.fromkeys(row["before"]["verdict"]["word"] for row in timed or rows))
    foreseen = "".join(_shares(row["before"]["certified"]["time"]) for row in timed)
    built = "".join(_shares(row["after"]["time"]) for row in timed)
    read = _mean([row["before"]["read"]["cost"] for row in rows])
    cells = (name, _mean([one for one, _ in pairs]), read, _mean([other for _, other in pairs]), f"{100 * worst:.1f}")
    return f"| {' | '.join((*cells, words, foreseen or '-', built or '-'))} |"


def _shares(times: Mapping[str, float]) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in times.values())


def _mean(values: list[float]) -> str:
    found = spread(values)
    return f"{100 * found['mean']:.1f} ± {100 * found['sd']:.1f}"


def _table(table: Mapping[str, Any], tables: str, command: Sequence[str]) -> list[str]:
    return [
        "## ResNet-56, its exits, and everything else",
        "",
        _prose(MADE),
        "",
        "<!-- parsed only: takes 20 minutes -->",
        "```sh",
        f"offramp {' '.join(word or chr(34) * 2 for word in command)}",
        "```",
        "",
        f"It says: **{table['table']['verdict']['word']}**.",
        "",
        "![quality over cost](results/advise_resnet56.png)",
        "",
        tables,
        *(f"* {note}" for note in table["notes"]),
        "",
    ]
