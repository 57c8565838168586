"""The page of the docs that compares the regimes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Run = Mapping[str, Any]
Figure = Callable[[Run], float | None]

DISJOINT, MIXED, JOINT, SHORT = "disjoint", "mixed", "joint, as many steps", "joint, one phase"
"""The rows that the claims are about."""


def page(result: Mapping[str, Any], config: Path) -> str:
    """Markdown from the result of the config at `config`."""
    told, runs = result["config"], result["runs"]
    return f"""\
# Regimes that train the backbone

{told["name"]}: disjoint (the backbone, then the heads on it), joint (both at once)
and mixed (the backbone, then both) training, all from the same random weights. Accuracy on {runs[0]["images"]:,}
test images, which trained and chose nothing; mean ± standard deviation over {len(told["seeds"])} seeds.

{_budgeted(told)}

<!-- parsed only: takes an hour -->
```sh
python -m benchmarks.regimes {config}
```

![Accuracy against cost](results/regimes.png)

The result, with machine and versions, is [results/regimes.json](results/regimes.json).

{_lines(_accuracy(told, runs))}
## What training cost

{_lines(_spent(told, runs))}

A backward counts as two forwards of what it goes through; heads are not counted. Regimes that begin with the backbone
alone share that phase, and each is charged for it.

## Claims

{_lines(_claims(told, runs))}

{_lines(_optimism(told, runs))}

Differences are between runs of one seed, their mean ± standard deviation over seeds. The claims are those of Kubaty et
al. 2025 (*How to Train Your Multi-Exit Model?*), on a small scale: one network, short training, parts of one data set.

Machine: {_machine(result["machine"])}.
"""


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _budgeted(told: Mapping[str, Any]) -> str:
    names = ", ".join(f"{100 * budget:g}" for budget in told["budgets"])
    return f"""\
A column is a budget, {names} % of the plain backbone's MACs: one threshold for all {len(told["points"])} exits,
the last one before the mean cost, heads included, exceeds it on {told["validation"]:,} images that were not learnt
from. In brackets: the threshold was read off on the test images themselves, as is usual. *max* is the most accurate
threshold, whatever it costs."""


def _of(runs: Sequence[Run], row: str, size: int) -> list[Run]:
    return sorted((run for run in runs if run["row"] == row and run["size"] == size), key=lambda run: run["seed"])


def _spread(values: Sequence[float | None], scale: float = 100.0, digits: int = 2, sign: str = "") -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return "-"
    deviation = np.std(known, ddof=1) if len(known) > 1 else float("nan")
    return f"{scale * np.mean(known):{sign}.{digits}f} ± {scale * deviation:.{digits}f}"


def at(column: str, how: str = "chosen") -> Figure:
    """The accuracy of a run at a budget."""

    def found(run: Run) -> float | None:
        cell = run["columns"][column][how]
        return None if cell is None else float(cell[0])

    return found


def last(run: Run) -> float:
    """The accuracy of the last exit, with no sample leaving early."""
    return float(run["exits"][-1])


def backbone(run: Run) -> float | None:
    """The accuracy of the backbone after the phase for it alone."""
    return None if run["backbone"] is None else float(run["backbone"])


def _accuracy(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    names = [*(f"{100 * budget:g}" for budget in told["budgets"]), "max"]
    for size in told["sizes"]:
        yield f"## {size:,} images to learn from\n"
        yield f"| regime, % | {' | '.join(f'at {n} %' if n != 'max' else n for n in names)} | last exit |"
        yield "| --- |" + " --- |" * (len(names) + 1)
        for row in told["rows"]:
            here = _of(runs, row, size)
            cells = [
                f"{_spread([at(name)(run) for run in here])} ({_mean([at(name, 'read off')(run) for run in here])})"
                for name in names
            ]
            yield f"| {row} | {' | '.join(cells)} | {_spread([last(run) for run in here])} |"
        plain = [backbone(run) for run in _of(runs, DISJOINT, size)]
        yield f"| *the backbone of phase 1* |{' |' * len(names)} {_spread(plain)} |"
        yield ""


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * np.mean(known):.2f}" if len(known) == len(values) and known else "-"


def _spent(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "| regime | phases | steps of the optimizer | MACs of the backbone, 10¹² |"
    yield "| --- | --- | --- | --- |"
    for row, settings in told["rows"].items():
        here = [run for run in runs if run["row"] == row]
        phases = " + ".join(f"{round(length * told['steps']):,}" for length in settings["lengths"])
        yield f"| {row} | {phases} | {here[0]['steps']:,} | {here[0]['training_macs'] / 1e12:.1f} |"


def _difference(runs: Sequence[Run], size: int, one: tuple[str, Figure], other: tuple[str, Figure]) -> str:
    """One figure less another, seed by seed, in points."""
    pairs = zip(_of(runs, one[0], size), _of(runs, other[0], size), strict=True)
    values = [
        None if (a := one[1](mine)) is None or (b := other[1](theirs)) is None else a - b for mine, theirs in pairs
    ]
    return _spread(values, sign="+")


def _claims(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    sizes = told["sizes"]
    disjoint = [run for run in runs if run["row"] == DISJOINT]
    equal = sum(bool(run["last_exit_is_backbone"]) for run in disjoint)
    yield f"**R1**, the last exit of disjoint training is the backbone bit for bit: {equal} of {len(disjoint)} runs.\n"
    yield f"| claim, points of accuracy | {' | '.join(f'{size:,} images' for size in sizes)} | expected |"
    yield "| --- |" + " --- |" * (len(sizes) + 1)
    rows: list[tuple[str, tuple[str, Figure], tuple[str, Figure], str]] = [
        ("**R2** mixed - joint at 100 %, as many steps", (MIXED, at("100")), (JOINT, at("100")), "≥ 0"),
        ("mixed - joint at 100 %, phases of one length", (MIXED, at("100")), (SHORT, at("100")), "≥ 0"),
        ("joint - disjoint at 25 %, as many steps", (JOINT, at("25")), (DISJOINT, at("25")), "several"),
        ("joint - disjoint at 25 %, phases of one length", (SHORT, at("25")), (DISJOINT, at("25")), "several"),
        ("mixed - disjoint at 25 %", (MIXED, at("25")), (DISJOINT, at("25")), "several"),
        (
            "**R3** last exit of joint - backbone, one phase each",
            (SHORT, last),
            (DISJOINT, backbone),
            "lower for more images",
        ),
        ("last exit of mixed - backbone", (MIXED, last), (DISJOINT, backbone), ""),
    ]
    for name, one, other, expected in rows:
        cells = " | ".join(_difference(runs, size, one, other) for size in sizes)
        yield f"| {name} | {cells} | {expected} |"


def _optimism(told: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    yield "**R7**, what thresholds gain that are read off on the test images; expected: less than half a point\n"
    yield "| at | mean over all runs, points | largest |"
    yield "| --- | --- | --- |"
    for name in [*(f"{100 * budget:g}" for budget in told["budgets"]), "max"]:
        pairs = [(at(name, "read off")(run), at(name)(run)) for run in runs]
        gains = [100 * (read - chosen) for read, chosen in pairs if read is not None and chosen is not None]
        label = "max" if name == "max" else f"{name} %"
        told_gains = f"{np.mean(gains):+.2f} | {max(gains, key=abs):+.2f}" if gains else "- | -"
        yield f"| {label} | {told_gains} |"


def _machine(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value)
