"""Where a build puts its heads."""

import hashlib
import json
from pathlib import Path

from offramp.errors import InputError
from offramp.model.backbone import Backbone
from offramp.model.fingerprint import model_fingerprint
from offramp.model.selection import select
from offramp.options import Options
from offramp.proposal import survey
from offramp.reading import reader
from offramp.sources import Source
from offramp.split import Parts
from offramp.tasks.task import Task
from offramp.types import ExitPoint

PROPOSED = "proposed"
"""The wish for the places that a survey of the training part proposes; `proposed:4` for at most four."""

PROBED = 256
"""Samples of the training part that the survey looks at."""


def places(
    backbone: Backbone, task: Task, source: Source, parts: Parts, options: Options, work: Path
) -> tuple[ExitPoint, ...]:
    """The points wished for, by depth: proposed ones, or what `model.selection.select` makes of the wish.

    A proposal rests on measured time and would come out otherwise when a build goes on, so it is kept in `work`.
    """
    wish, chosen = options.points, options.chosen()
    if wish is None or wish.partition(":")[0] != PROPOSED:
        return select(backbone.points, wish, chosen.points)
    if not task.means.classes:
        raise InputError(
            f"expected points by name, every:K or share:... for the task {task.name}, whose answers the survey cannot "
            "compare; name them, or leave --points out to spread them evenly"
        )
    most = _most(wish, chosen.points)
    samples = parts["train"][:PROBED]
    asked = repr((model_fingerprint(backbone.model), source.fingerprint(), samples.tolist(), most))
    note = work / f"proposed-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    if not note.exists():
        found = survey(backbone, reader(task), source.inputs(samples), most)
        if not found.ranked:
            raise InputError(
                "expected a place where leaving early would save time, the survey proposes none; name points, or leave "
                "--points out to spread them evenly"
            )
        work.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(".part")
        draft.write_text(json.dumps([backbone.points[index].name for index, _ in found.ranked]))
        draft.replace(note)
    return tuple(sorted(map(backbone.point, json.loads(note.read_text())), key=lambda point: point.index))


def _most(wish: str, default: int) -> int:
    count = wish.partition(":")[2] or str(default)
    if not count.isdigit() or int(count) < 1:
        raise InputError(
            f"expected proposed:K with K of at least 1, or proposed where the recipe has points, got {wish!r}"
        )
    return int(count)
