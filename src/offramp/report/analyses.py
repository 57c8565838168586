"""All that an analysis found, in files: one JSON, and one figure for each part."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from offramp.report.landscapes import connectivity_figure, landscape_figure
from offramp.report.profiles import information_figure, ranks_figure
from offramp.report.pulls import gradients_figure
from offramp.whole import write_whole

Found = Mapping[str, Any]
"""What `offramp.analysis.analyze` returns."""

RESULT = "analysis.json"


def write_analysis(found: Found, folder: Path, suffix: str = ".png") -> list[Path]:
    """Writes `analysis.json` and a figure for each part to a folder, and says which files.

    Args:
        found: the analysis.
        folder: made where it is missing.
        suffix: of the figures: .png, .svg or .pdf.

    Raises:
        InputError: if nothing can be written there.
    """
    files = [write_whole(folder / RESULT, json.dumps(found, indent=1) + "\n", "choose another folder")]
    for part in found["parts"]:
        path = folder / f"{part}{suffix}"
        if _FIGURES[part](found, path):
            files.append(path)
    return files


def groups_of(found: Found, part: str) -> dict[str, list[Any]]:
    """What a part has of each training, by regime."""
    groups: dict[str, list[Any]] = {}
    for model in found["models"]:
        groups.setdefault(model["group"], []).append(found["parts"][part]["models"][model["name"]])
    return groups


def pairs_of(found: Found) -> list[Sequence[Mapping[str, Any]]]:
    """The lines between trainings by the regimes at their ends, named after these.

    The first training of a regime is taken to share its start with the first of another, the second with the second;
    lines between others are a pair of their own, since what lies between starts is no spread over seeds.
    """
    group = {model["name"]: model["group"] for model in found["models"]}
    seen: Counter[str] = Counter()
    place = {}
    for name, own in group.items():
        place[name], seen[own] = seen[own], seen[own] + 1
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in found["parts"]["connectivity"]["lines"]:
        one, other = line["from"], line["to"]
        ends = group[one], group[other] + ("" if place[one] == place[other] else ", other seed")
        pairs.setdefault(ends, []).append({**line, "from": ends[0], "to": ends[1]})
    return list(pairs.values())


def _gradients(found: Found, path: Path) -> bool:
    part = found["parts"]["gradients"]
    gradients_figure(part["spans"], part["exits"], groups_of(found, "gradients"), path)
    return True


def _ranks(found: Found, path: Path) -> bool:
    ranks_figure(found["parts"]["ranks"]["layers"], groups_of(found, "ranks"), path)
    return True


def _information(found: Found, path: Path) -> bool:
    part, groups = found["parts"]["information"], groups_of(found, "information")
    if not any(one for seeds in groups.values() for seed in seeds for one in seed.values()):
        return False
    information_figure(part["layers"], groups, len(part["noises"]) // 2, path)
    return True


def _landscape(found: Found, path: Path) -> bool:
    part = found["parts"]["landscape"]
    landscape_figure(part["at"], part["models"], found["data"]["loss"], path)
    return True


def _connectivity(found: Found, path: Path) -> bool:
    part, pairs = found["parts"]["connectivity"], pairs_of(found)
    if pairs:
        connectivity_figure(pairs, part["plane"], found["data"]["loss"], path)
    return bool(pairs)


_FIGURES: dict[str, Callable[[Found, Path], bool]] = {
    "gradients": _gradients,
    "ranks": _ranks,
    "information": _information,
    "landscape": _landscape,
    "connectivity": _connectivity,
}
