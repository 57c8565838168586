"""The page of the docs on the geometry of the regimes, with a verdict on each claim."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.regimes.geometry_claims import FAILS, HOLDS, SHORT, claims, middle_of, verdict
from benchmarks.regimes.geometry_figures import file_of
from benchmarks.regimes.page import at, backbone, last

Run = Mapping[str, Any]

CAPTIONS = {
    "connectivity": "The loss on straight lines between trainings (bands: one standard deviation over seeds), and on\n"
    "the plane through three of them (first seed).",
    "landscape": "The loss around each training on two random filter-normalised directions (first seed).",
    "ranks": "Ranks of the covariance of at most 512 numbers of each feature, on 1,000 images not learnt from.",
    "information": "Information of the same features about the images (two bounds) and about their labels (two\n"
    "estimates).",
    "gradients": "Share of each exit's gradient in each part of the backbone, and its cosine with the mean of all.",
}
"""The figures, in the order of the page."""


def page(result: Mapping[str, Any], config: Path) -> str:
    """Markdown from the result of the config at `config`."""
    told, runs = result["config"], result["runs"]
    return f"""\
{_opening(told, runs, config)}{_claimed(told, runs)}## Accuracy

{_lines(_accuracy(told, runs))}

## Barriers

{_lines(_barriers(told, runs))}

Disjoint and mixed begin from one phase 1, and joint at the start of it. The control is mixed training from another
phase 1: another start and order, the same images, the same untrained heads. A barrier is how far the loss rises above
the straight line between the losses at its ends (Entezari et al. 2022).

## Effective ranks

{_lines(_ranks(told, runs))}

## Gradients

{_lines(_gradients(told, runs))}

{_lines(_figures(told))}
Machine: {", ".join(f"{key} {value}" for key, value in result["machine"].items() if value)}.
"""


def _opening(told: Mapping[str, Any], runs: Sequence[Run], config: Path) -> str:
    minutes = sum(run["seconds"] for run in runs) / 60
    return f"""\
# How regimes differ inside

Networks trained disjointly (the backbone, then the heads on it), jointly (both at once) and mixed (the backbone, then
both), looked at with what [`offramp analyze`](how-to/analyze.md) does: where they lie to each other, how many
directions their layers use, what these know, and which exits pull at them. A ResNet-20 of width 8, and a ViT of depth 6
and width 64 with patches of 4 x 4 pixels, both with four exits and from scratch on {told["size"]:,} images of CIFAR-10.
Numbers are mean ± standard deviation over {len(told["seeds"])} seeds.

<!-- parsed only: takes an hour -->
```sh
python -m benchmarks.regimes.geometry {config}
```

It took {minutes:.0f} minutes on one thread, beside other work, and goes on where it was killed. The result, with
machine, versions and settings, is [results/geometry.json](results/geometry.json).

A phase has {_steps(told)} steps of {told["batch_size"]} images; joint training takes two phases' worth of them unless
it says otherwise. This is short training of small networks, and two seeds are few: a claim *holds* or *does not hold*
where all seeds are on one side and their mean is further from 0 than their standard deviation, else it is *unclear*.

"""


def _claimed(told: Mapping[str, Any], runs: Sequence[Run]) -> str:
    return f"""\
## Claims

{_lines(_claims(told, runs))}

R1: the last exit of disjoint training is the backbone bit for bit. R2: accuracy at 100 % and 25 % of the backbone's
MACs, with one threshold for all exits, chosen on {told["validation"]:,} other images; mixed training is two phases, so
phases of one length give joint training half the steps. R3: joint training, one phase, against the backbone trained
alone as long, with {told["size"]:,} and {told["larger"]:,} images; the claim is that it hurts the last exit on more
images, not on fewer. In a phase the larger number is hardly seen more than once, so this is no test of long training on
much data. R4: barriers of the loss of the last exit on images learnt from, batch norms recalibrated at every point. R5:
effective rank, the mean over the four exit points, and at the deepest of them. R6: share of the exits between the first
and the last in the norms of the gradients, the mean over the parts of the backbone; at a start all heads are
untrained.

"""


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _steps(told: Mapping[str, Any]) -> str:
    return " and ".join(dict.fromkeys(f"{net['steps']:,}" for net in told["nets"].values()))


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 2, sign: str = "+") -> str:
    """Mean ± standard deviation.

    >>> spread([0.01, 0.03], scale=100.0, digits=1)
    '+2.0 ± 1.4'
    """
    found = scale * np.asarray(values, np.float64)
    told = f"{found.mean():{sign}.{digits}f}"
    return f"{told} ± {found.std(ddof=1):.{digits}f}" if len(found) > 1 else told


def _of(runs: Sequence[Run], net: str) -> list[Run]:
    return [run for run in runs if run["net"] == net]


def _claims(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    nets = list(told["nets"])
    yield f"| claimed to be above 0 | {' | '.join(nets)} |"
    yield "| --- |" + " --- |" * len(nets)
    equal = []
    for net in nets:
        same = [
            bool(run[size]["disjoint"]["last_exit_is_backbone"])
            for run in _of(runs, net)
            for size in ("accuracy", "larger")
        ]
        equal.append(f"{HOLDS if all(same) else FAILS}: {sum(same)} of {len(same)} runs")
    yield f"| **R1** last exit is the backbone, bit for bit | {' | '.join(equal)} |"
    for rows in zip(*(claims(_of(runs, net)) for net in nets), strict=True):
        name, unit, _ = rows[0]
        cells = [f"{verdict(values)}: {spread(values)} {unit}".strip() for _, _, values in rows]
        yield f"| {name} | {' | '.join(cells)} |"


def _accuracy(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "| network, % | regime | at 25 % | at 100 % | last exit |"
    yield "| --- | --- | --- | --- | --- |"
    for net in told["nets"]:
        here = _of(runs, net)
        for name in here[0]["accuracy"]:
            cells = [
                spread([figure(run["accuracy"][name]) or np.nan for run in here], 100.0, sign="")
                for figure in (at("25"), at("100"), last)
            ]
            yield f"| {net} | {name} | {' | '.join(cells)} |"
        for size, count in (("accuracy", told["size"]), ("larger", told["larger"])):
            plain = spread([backbone(run[size]["disjoint"]) or np.nan for run in here], 100.0, sign="")
            yield f"| {net} | *the backbone alone, {count:,} images* | | | {plain} |"
        short = spread([last(run["larger"][SHORT]) for run in here], 100.0, sign="")
        yield f"| {net} | joint, one phase, {told['larger']:,} images | | | {short} |"


def _barriers(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "| network | between | last exit, nats | mean of all exits, nats | distance of the weights |"
    yield "| --- | --- | --- | --- | --- |"
    for net in told["nets"]:
        here = _of(runs, net)
        for place, line in enumerate(here[0]["lines"]):
            heights = [
                spread([run["lines"][place]["barrier"][kind]["height"] for run in here], sign="")
                for kind in ("last", "mean")
            ]
            far = spread([run["lines"][place]["distance"] for run in here], digits=1, sign="")
            yield f"| {net} | {line['from']} - {line['to']} | {' | '.join(heights)} | {far} |"


def _ranks(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "| network | layer | disjoint | mixed | joint |"
    yield "| --- | --- | --- | --- | --- |"
    for net in told["nets"]:
        here = _of(runs, net)
        for layer in here[0]["ranks"]["layers"]:
            cells = [
                spread([run["ranks"]["models"][name][layer]["effective"] for run in here], digits=1, sign="")
                for name in ("disjoint", "mixed", "joint")
            ]
            yield f"| {net} | {layer} | {' | '.join(cells)} |"


def _gradients(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "| network | share of middle exits | at the start | at the end |"
    yield "| --- | --- | --- | --- |"
    for net in told["nets"]:
        for name, start, end in (("joint", "untrained", "joint"), ("mixed, phase 2", "after phase 1", "mixed")):
            cells = [spread([middle_of(run, moment) for run in _of(runs, net)], sign="") for moment in (start, end)]
            yield f"| {net} | {name} | {' | '.join(cells)} |"


def _figures(told: Mapping[str, Any]) -> Iterator[str]:
    for kind, caption in CAPTIONS.items():
        yield f"## Figures: {kind}\n"
        yield f"{caption}\n"
        for net in told["nets"]:
            yield f"**{net}**\n"
            yield f"![{kind} of the {net}](results/{file_of(net, kind)})\n"
