"""A report as one HTML file: figures and samples are within it, and nothing is fetched."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from offramp.examples import Example
from offramp.findings import Findings
from offramp.load.optional import require
from offramp.report import sections
from offramp.report.drawings import Drawing, drawings
from offramp.report.items import answer, shown

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do with the page: show it, and fetch nothing."""


@dataclass(frozen=True)
class Card:
    """A sample as it is shown.

    Attributes:
        picture: a data URI; empty for a text.
        text: words, not yet escaped; empty for a picture.
        answer: what it was answered.
        reference: what the plain model answers, where that is something else; else empty.
        label: the label, where the answer is something else; else empty.
        right: whether the answer is the label; None without labels.
        margin: how far it was from the threshold.
    """

    picture: str
    text: str
    answer: str
    reference: str
    label: str
    right: bool | None
    margin: str


def page(found: Findings, names: Sequence[str] = (), title: str | None = None) -> str:
    """The page.

    Args:
        found: what is shown.
        names: of classes, by their index; where there are none, the indices are shown.
        title: of the page.

    Raises:
        InputError: if Jinja is not installed.
    """
    jinja2 = require("jinja2", "reports")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    folder = files("offramp.report.page")
    model = found.bundle.manifest.model
    text: str = environment.from_string((folder / "page.html").read_text()).render(
        title=title or f"Early exits of {model.spec or model.type}",
        policy=POLICY,
        style=(folder / "page.css").read_text(),
        found=found,
        sections=sections,
        figures=_figures(drawings(found)),
        leaving=_leaving(found, names),
        wrong=[_card(found, one, names) for one in found.examples.wrong],
    )
    return text


def _figures(drawn: Mapping[str, Drawing]) -> dict[str, dict[str, str]]:
    """By name, the figures as data URIs with their words."""
    made = {}
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        for name, one in drawn.items():
            file = Path(folder) / f"{name}.svg"
            one.draw(file)
            encoded = base64.b64encode(file.read_bytes()).decode()
            made[name] = {"source": f"data:image/svg+xml;base64,{encoded}", "alt": one.alt, "caption": one.caption}
    return made


def _leaving(found: Findings, names: Sequence[str]) -> list[dict[str, Any]]:
    """Of each exit that is on, who leaves there."""
    on = (*found.chosen.configuration.enabled, True)
    return [
        {
            "exit": name,
            "share": found.shown.exit_share[index],
            "easy": [_card(found, one, names) for one in found.examples.easy[index]],
            "hard": [_card(found, one, names) for one in found.examples.hard[index]],
            "last": index == len(on) - 1,
        }
        for index, name in enumerate(found.exits)
        if on[index]
    ]


def _card(found: Findings, one: Example, names: Sequence[str]) -> Card:
    item = shown(found.items[one.row])
    said = answer(one.answer, names)
    reference = answer(one.reference, names)
    label = "" if one.label is None else answer(one.label, names)
    return Card(
        picture=item.get("picture", ""),
        text=item.get("text", ""),
        answer=said,
        reference="" if one.differs == 0 else reference,
        label="" if label == said else label,
        right=None if one.wrong is None else one.wrong == 0,
        margin="" if one.margin != one.margin else f"{one.margin:+z.3f}",
    )
