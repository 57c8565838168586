"""The result of the click-through benchmark as a page of the docs."""

from collections.abc import Iterator
from typing import Any

HEAD = """# Clicks: DLRM on Frappe, exits trained without labels

Made by `python -m benchmarks.recsys.front benchmarks/recsys/front.json`; the result, with machine and versions, is
[results/recsys.json](results/recsys.json). `--time-again` measures the times alone. Numbers are means over {seeds}
seeds, ± their standard deviation; a seed decides how rows are divided and how the model learns, too. How to do the
same with a model of your own is in [Clicks](how-to/ctr.md).

Frappe is a log of apps used in contexts, ten fields, two rows of apps not used for each that was: {rows:,} rows
here. A DLRM without dense features learned from the labels of {train:,} of them and stopped by {held:,}. Exits saw
{stream:,} others without labels: half trained heads, 15 % chose, 20 % certified, 15 % reported. All that follows was
measured on the {test:,} rows that are left; costs are mean MACs, the plain model = 100 %.

Two models. **dlrm** has a top MLP of four layers of 512, wider than these rows need, so that its saving flatters: the
interaction lies at {at_dlrm} of its MACs, and all behind it is what an exit leaves out. **narrow** has 512-256, as
DLRM's own code has it for Criteo's data; there the interaction lies at {at_narrow}. (In that code's network for
Criteo itself, with a bottom MLP for 13 dense features, it lies at {at_criteo}.)
"""

TAIL = """
`careful` is certified for at most {careful:g} % disagreement with the model, `balanced` for {balanced:g} %, `fast`
for twice that, `fastest` for five times (δ = {delta:g}, all at once); where nothing is cheaper than `balanced` the
last two mean that point.

* **Certificates are about the answer**, click or none at a probability of one half. Nothing is certified about the
  area under the curve or the log loss, which is what prices are made of; they are measured here, with labels.
* Exits are calibrated to the model's probabilities. Fitted to its answers, as those of classifiers are, they
  disagree no more, but say 0 and 1: at `balanced` of seed 0 the log loss was then 1.03, not 0.259 (the model's own
  is 0.258).
* **Rows are divided one by one**, as is usual for this data: the same users and apps are in all parts, and so are
  rows of one use. A certificate is for rows drawn like these; new users, or next month's rows, are not.
* The settings of the training were chosen with the area under the curve on the test rows of seeds 0 and 1 in view.
  That concerns how good the model is, not its exits.
* Looking up embeddings has no MACs. Where tables are large and far from the processor it takes the time, and no exit
  behind the interaction saves any of that.
"""

SELFXIT = """
## Beside SelfXit

SelfXit reports of DLRM on Criteo: 35.3 % fewer FLOPs, and accuracy from 78.88 to 73.54, which is
5.3 points less. At the dearest operating point that costs no more than {cost:.1f} % here:

| | cost | accuracy lost, points | area under the curve lost, points | log loss, of the model's |
|---|---|---|---|---|
{rows}
| SelfXit, DLRM on Criteo | 64.7 % | 5.34 | | |

These are not the same data, nor the same network: Criteo's clicks are noisier, its answers nearer to one half, and a
bottom MLP has its share of the cost. So the rows say that the method need not lose points at that saving, and
nothing about how many it would lose on Criteo, of which there is only a sample of 1,999 rows here, too few to train
on.
"""


def page(result: dict[str, Any]) -> str:
    """Markdown: what is lost at which cost, what is certified, what it takes in time, and beside SelfXit."""
    config, nets = result["config"], result["nets"]
    rows = result["training"]["rows"]
    at = {f"at_{name}": f"{100 * shape['points']['interaction']:.1f} %" for name, shape in result["shapes"].items()}
    head = HEAD.format(seeds=len(config["seeds"]), rows=sum(rows.values()), **rows, **at)
    drop = 100 * config["max_drop"]
    tail = TAIL.format(careful=drop / 2, balanced=drop, delta=config["delta"])
    tables = [*_quality(nets, config), "", *_named(nets)]
    return "\n".join([head, *tables]) + "\n" + tail + _selfxit(nets, config) + "".join(_times(nets, config))


def _quality(nets: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    summaries = [net["summary"] for net in nets.values()]
    yield _row("", list(nets))
    yield "|---|" + "---|" * len(nets)
    yield _row("accuracy of the plain model", [_share(one["plain"]["accuracy"], 2) for one in summaries])
    for name, said in (("auc", "area under its curve"), ("log_loss", "its log loss, nats")):
        yield _row(said, [f"{one['plain'][name]['mean']:.4f} ± {one['plain'][name]['sd']:.4f}" for one in summaries])
    for key, what in (("cost_within_drop", "accuracy"), ("cost_within_auc", "area under the curve")):
        for drop in config["drops_in_points"]:
            cells = [_share(one[key][str(drop)], 1) for one in summaries]
            yield _row(f"cost at ≤ {drop:g} points of {what} lost", cells)
    yield _row("oracle for the same heads", [_share(one["oracle_cost"], 1) for one in summaries])


def _named(nets: dict[str, Any]) -> Iterator[str]:
    yield "| point | model | cost | agreement | accuracy lost, points | AUC lost, points | log loss, of the model's |"
    yield "|---|---|---|---|---|---|---|"
    for point in ("careful", "balanced", "fast", "fastest"):
        for name, net in nets.items():
            yield _row(point, [name, *_cells(net["summary"]["named"][point], agreement=True)])


def _cells(found: dict[str, Any], agreement: bool) -> list[str]:
    return [
        _share(found["cost"], 1),
        *([_share(found["agreement"], 2)] if agreement else []),
        *(f"{found[key]['mean']:.2f} ± {found[key]['sd']:.2f}" for key in ("accuracy_drop", "auc_drop")),
        _share(found["log_loss_ratio"], 1),
    ]


def _selfxit(nets: dict[str, Any], config: dict[str, Any]) -> str:
    rows = "\n".join(
        _row(f"{name} on Frappe", _cells(net["summary"]["named"]["imposed"], agreement=False))
        for name, net in nets.items()
    )
    return SELFXIT.format(cost=100 * config["imposed_cost"], rows=rows)


def _times(nets: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    sizes = config["batch_sizes"]
    yield "\n## Time\n\nOn one thread, in % of the uncut model on the same back end, interleaved, seed "
    yield f"{' and '.join(map(str, config['timed_seeds']))}; ± is the standard error over rounds.\n\n"
    yield (
        f"| back end | model | point | batch {' | '.join(map(str, sizes))} |\n|---|---|---|"
        + "---|" * len(sizes)
        + "\n"
    )
    for backend in config["backends"]:
        for name, net in nets.items():
            for point in config["timed_points"]:
                rows = [row for row in net["time"][0]["rows"] if (row["backend"], row["point"]) == (backend, point)]
                found = {row["batch"]: row for row in rows}
                if not found:  # another name of a point that is told already
                    continue
                cells = [f"{100 * found[s]['ratio_to_uncut']:.0f} ± {100 * found[s]['noise']:.0f}" for s in sizes]
                yield _row(backend, [name, point, *cells]) + "\n"
    yield "\nA request of one row on ONNX Runtime, microseconds, medians:\n\n"
    yield "| model | first stage by itself | model with exits | of that around the stages | uncut model by itself |\n"
    yield "|---|---|---|---|---|\n"
    for name, net in nets.items():
        one = net["time"][0]["one_row"]
        around = f"{100 * (1 - one['bare'] / one['exits']):.0f} %"
        yield _row(name, [f"{one['bare']:.0f}", f"{one['exits']:.0f}", around, f"{one['uncut']:.0f}"]) + "\n"
    loads = ", ".join(f"{one:.0f}" for net in nets.values() for one in net["time"][0]["load"])
    yield "\nAround the stages is Python; where that is most of such a request, leaving early pays in batches. "
    yield f"Load averages of the machine (two cores) before and after: {loads}; what is far above two "
    yield "makes absolute times long and shares uncertain.\n"


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _share(found: dict[str, float], digits: int = 0) -> str:
    return f"{100 * found['mean']:.{digits}f} % ± {100 * found['sd']:.{digits}f}"
