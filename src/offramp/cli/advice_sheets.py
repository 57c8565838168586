"""What `offramp advise` shows: tables for people, the same in Markdown, and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from offramp.advise.advice import DROPS, Advice, Row
from offramp.advise.contender import PLAIN, Figures
from offramp.advise.equal import MACS
from offramp.advise.forecast import Forecast
from offramp.advise.verdict import Verdict
from offramp.cli.plain import plain_table, show_table
from offramp.report.sections import Rows
from offramp.report.summary import table
from offramp.report.units import macs as in_words
from offramp.report.units import percent
from offramp.whole import write_whole


@dataclass(frozen=True)
class Sheet:
    """A table, before it is drawn.

    Attributes:
        title: above it.
        columns: their heads; a line break may be in them.
        rows: cells.
        notes: sentences below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def markdown(self) -> str:
        """As Markdown."""
        heads = tuple(head.replace("-\n", "").replace("\n", " ") for head in self.columns)
        notes = (f"* {note}" for note in self.notes)
        return "\n".join([f"**{self.title}**", "", table(Rows(heads, self.rows)), "", *notes, ""])


def forecast_sheet(found: Forecast) -> Sheet:
    """What is expected, at the point that would be chosen and at the one that would be certified."""
    goal = f"{100 * found.max_drop:g} %"
    kinds = (
        (f"chosen for {goal}", found.chosen),
        ("certified", found.certified),
        ("by probes as they are", found.read),
    )
    sizes = tuple(found.chosen.time)
    rows = [
        (
            name,
            percent(one.cost),
            *(percent(one.time[size], 0) for size in sizes),
            percent(one.disagreement, 2),
            "-" if one.early is None else percent(one.early, 0),
            *(("-" if even is None else percent(even, 0)) for even in (one.break_even[size] for size in sizes)),
        )
        for name, one in kinds
        if one is not None
    ]
    proved = f"cannot pass {goal}" if found.rate is None else f"pass {goal} with {percent(found.rate, 2)} on them"
    return Sheet(
        f"before a build: {found.verdict.word}",
        (
            "expected",
            "MACs",
            *(f"time at\n{size}" for size in sizes),
            "disagree",
            "leave\nearly",
            *(f"even\nat {size}" for size in sizes),
        ),
        tuple(rows),
        (
            *found.verdict.reasons,
            f"from ridge probes at {len(found.points)} places on {found.samples} samples they had not seen, and stage "
            f"times on {found.backend}; shares are of the plain model's, even: what has to leave early to break even",
            f"followed on to the {found.train} samples that heads learn from; how many leave early only probes can say",
            f"{found.certify} samples of the certify part {proved}; an oracle would take "
            f"{percent(found.oracle)} of the MACs",
            "not known before a build: what students and branches reach, what more data brings, how times change as "
            "batches shrink, so times are rather too low",
        ),
    )


def advice_sheets(found: Advice) -> list[Sheet]:
    """The ways, the families, and everything at equal quality."""
    sheets = [_ways(found), _families(found)]
    if found.equal:
        sheets.append(_equal(found))
    elif found.verdict is not None:
        sheets.append(Sheet(f"at equal {found.quality}: {found.verdict.word}", ("exits",), (), found.verdict.reasons))
    return sheets


def _ways(found: Advice) -> Sheet:
    labelled = found.accuracy is not None
    sizes = sorted({size for row in found.rows for size in row.taken})
    fastest = () if found.race is None else _backends(found)
    return Sheet(
        f"{found.samples} samples of {found.part}, plain model {in_words(found.macs)}",
        (
            "alternative",
            "point",
            "MACs\n%",
            *(("accu-\nracy, %", "drop, points") if labelled else ()),
            "agree-\nment, %",
            "certi-\nfied, %",
            *(f"time at\n{s}, %" for s in sizes),
            "size\nMB",
        ),
        tuple(_cells(row, sizes) for row in found.rows),
        ("MACs and time: shares of the plain model's; certified: disagreement; ±: one standard error", *fastest),
    )


def _cells(row: Row, sizes: Sequence[int]) -> tuple[str, ...]:
    figures = row.figures
    known = () if figures.accuracy is None else (_share(figures.accuracy, 2), _drop(figures))
    times = ((row.taken[one].ratio, row.taken[one].noise) if one in row.taken else None for one in sizes)
    return (
        row.name,
        row.way,
        _share(figures.cost),
        *known,
        _share(figures.agreement, 2),
        "-" if row.certified is None else f"≤ {100 * row.certified:.3g}",
        *("-" if one is None else f"{100 * one[0]:.0f}±{100 * one[1]:.0f}" for one in times),
        f"{row.bytes / 1e6:.3g}",
    )


def _share(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}"


def _drop(figures: Figures) -> str:
    return f"{figures.drop or 0.0:+.2f}±{figures.noise:.2f}"


def _backends(found: Advice) -> tuple[str, ...]:
    race = found.race
    assert race is not None
    told = "; ".join(
        f"{name} {', '.join(f'{ms:.3g} ms at {s}' for s, ms in sizes.items())}" for name, sizes in race.uncut.items()
    )
    rounded = "" if race.int8 is None else f"; eight bits run on {race.int8}"
    return (f"the plain model is fastest on {race.backend}, on which all else is timed{rounded}: {told}",)


def _families(found: Advice) -> Sheet:
    rows = tuple(
        (family.name, *("-" if cost is None else percent(cost) for cost in family.read_off.values()))
        for family in found.families
        if family.kind != PLAIN
    )
    return Sheet(
        f"MACs at no more than so many points of {found.quality} lost",
        ("alternative", *(f"≤ {drop:g}" for drop in DROPS)),
        rows,
        ("read off on these samples from families that were fixed without them, so a little optimistic",),
    )


def _equal(found: Advice) -> Sheet:
    names = list(found.equal[0].others)
    rows = tuple(
        (
            f"{one.way}, {percent(one.quality, 2)}",
            one.measure if one.measure == MACS else one.measure.removeprefix("time "),
            percent(one.own, 0),
            *("-" if (cost := one.others.get(name)) is None else percent(cost, 0) for name in names),
        )
        for one in found.equal
    )
    verdict = found.verdict or Verdict("", ())
    return Sheet(
        f"at equal {found.quality}: {verdict.word}",
        ("exits at", "cost in", "exits", *(name.replace(" > ", "\n> ") for name in names)),
        rows,
        (*verdict.reasons, "-: does not reach it; between two points of a family lies what a mix of both costs"),
    )


def notes_of(foreseen: Forecast | None, told: Advice | None, notes: Sequence[str]) -> dict[str, Any]:
    """Forecast and table as JSON."""
    found: dict[str, Any] = {"notes": list(notes)}
    if foreseen is not None:
        found["forecast"] = asdict(foreseen)
    if told is not None:
        found["table"] = asdict(told)
        if told.race is not None:
            del found["table"]["race"]["taken"]  # each row has its own
    return found


def show(
    sheets: Sequence[Sheet], result: Mapping[str, Any], out: Path | None, markdown: Path | None, as_json: bool
) -> None:
    """Prints the tables or the JSON, and writes what is to be written."""
    if as_json:
        typer.echo(json.dumps(result))
    else:
        for sheet in sheets:
            drawn = plain_table(sheet.title, sheet.columns, "\n".join(sheet.notes))
            for row in sheet.rows:
                drawn.add_row(*row)
            show_table(drawn)
    for note in result["notes"]:
        typer.echo(note, err=True)
    if out is not None:
        write_whole(out, json.dumps(result, indent=1) + "\n")
    if markdown is not None:
        write_whole(markdown, "\n".join(sheet.markdown for sheet in sheets))
