"""The figures of the geometry: five for each network, by the package's own drawing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offramp.report.landscapes import connectivity_figure, landscape_figure
from offramp.report.profiles import information_figure, ranks_figure
from offramp.report.pulls import gradients_figure

LOSS = "cross-entropy on images learnt from, nats"

MOMENT_NAMES = {
    "untrained": "joint, at its start",
    "after phase 1": "mixed, phase 2 at its start",
    "joint": "joint, at its end",
    "mixed": "mixed, at its end",
}
"""What the weights mean at which gradients were looked at."""


def file_of(net: str, kind: str) -> str:
    """The name of a figure.

    >>> file_of("ResNet-20", "ranks")
    'geometry_resnet-20_ranks.png'
    """
    return f"geometry_{net.lower().replace(' ', '-')}_{kind}.png"


def draw(result: Mapping[str, Any], folder: Path) -> None:
    """Draws all figures; landscapes and planes are those of the first seed."""
    for net in result["config"]["nets"]:
        runs = [run for run in result["runs"] if run["net"] == net]
        if not runs:
            continue
        first = runs[0]
        pulls = {told: [run["gradients"]["models"][name] for run in runs] for name, told in MOMENT_NAMES.items()}
        gradients_figure(
            first["gradients"]["spans"], first["gradients"]["exits"], pulls, folder / file_of(net, "gradients")
        )
        for kind, level in (("ranks", None), ("information", 1)):
            groups = {name: [run[kind]["models"][name] for run in runs] for name in first[kind]["models"]}
            path = folder / file_of(net, kind)
            if level is None:
                ranks_figure(first[kind]["layers"], groups, path)
            else:
                information_figure(first[kind]["layers"], groups, level, path)
        landscape = first["landscape"]
        landscape_figure(landscape["at"], landscape["models"], LOSS, folder / file_of(net, "landscape"))
        lines = [[run["lines"][place] for run in runs] for place in range(len(first["lines"]))]
        connectivity_figure(lines, first["plane"], LOSS, folder / file_of(net, "connectivity"))
