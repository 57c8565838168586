"""The figures of a report, each with what it is called and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from offramp.findings import Findings
from offramp.report.front import front_figure
from offramp.report.hits import FEW, effect_figure, hits_figure
from offramp.report.reliability import reliability_figure
from offramp.report.speed import speed_figure


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: of its file, without suffix.
        alt: what is on it, for those who do not see it.
        caption: how it is read.
        draw: writes it to a file; the suffix says the format.
    """

    name: str
    alt: str
    caption: str
    draw: Callable[[Path], None]


def drawings(found: Findings) -> dict[str, Drawing]:
    """The figures that the findings have something for, by name."""
    made = [_front(found)]
    if found.curves:
        made += [_hits(found), _effect(found)]
    if found.evaluation.exits:
        made.append(_reliability(found))
    if found.speed:
        made.append(_speed(found))
    return {one.name: one for one in made}


def _front(found: Findings) -> Drawing:
    return Drawing(
        "front",
        "Left, agreement and accuracy against cost; right, at which exit samples leave at each operating point.",
        "Left: each dot is an operating point; bars are intervals of 95 %, triangles what is certified, the dashed "
        "line what these heads would cost if each sample left at the first exit that agrees. Right: who leaves where.",
        lambda path: front_figure(found.evaluation, found.exits, path),
    )


def _thresholds(found: Findings) -> list[float | None]:
    chosen = found.chosen.configuration
    return [at if on else None for on, at in zip(chosen.enabled, chosen.threshold, strict=True)]


def _hits(found: Findings) -> Drawing:
    return Drawing(
        "hits",
        "Hit rate, agreement and accuracy of the hits of each exit against its threshold.",
        "Each exit alone, on all samples: how many would leave there at a threshold, and how many of these are "
        f"answered like the plain model, or like the label (not drawn below {100 * FEW:g} % of hits). Dashed: the "
        f"threshold of {found.chosen.name}.",
        lambda path: hits_figure(found.curves, found.exits[:-1], _thresholds(found), path),
    )


def _effect(found: Findings) -> Drawing:
    bounds = found.curves[0].effect is not None and found.bundle.task.means.classes
    return Drawing(
        "effect",
        "What leaving at each exit takes from the accuracy of the whole, against its threshold.",
        "Each exit alone: the share of all samples that would leave there with another answer than the plain model's"
        + (
            ", which bounds the accuracy that is lost; gains are not losses, so the effect lies below."
            if bounds
            else "."
        ),
        lambda path: effect_figure(found.curves, found.exits[:-1], _thresholds(found), path),
    )


def _reliability(found: Findings) -> Drawing:
    against = "right" if found.evaluation.against == "labels" else "like the plain model's"
    return Drawing(
        "reliability",
        f"Reliability diagrams of each exit and of what {found.chosen.name} answers.",
        f"How often answers of a confidence are {against}; on the diagonal a confidence means what it says. Dots "
        "are samples of like confidence, their area is how many. ECE, the expected calibration error: the mean "
        f"distance from the diagonal. Last: the answers as run at {found.chosen.name}.",
        lambda path: reliability_figure(found.evaluation, found.exits, path, found.shown),
    )


def _speed(found: Findings) -> Drawing:
    threads = found.speed[0].threads
    title = f"{found.bundle.manifest.model.type}, {threads} thread{'s' * (threads > 1)}"
    return Drawing(
        "speed",
        "Time against batch size for each back end and operating point.",
        "Solid: measured time as a share of the uncut model's on the same back end, bars are two standard errors. "
        "Dotted: what the saved MACs would make it. Dashed: nobody leaves. Cross: as planned for this machine.",
        lambda path: speed_figure(found.speed, title, path),
    )
