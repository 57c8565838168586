"""`offramp run --ray`: stages are exported beside the predictions, and answers are kept there until all are known."""

import csv
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from offramp.bundle import Bundle
from offramp.cli.attached import Opening
from offramp.cli.lines import Lines
from offramp.exporting import export
from offramp.offline.answers import Answers
from offramp.offline.dataset import Asked, score
from offramp.offline.scoring import Scored
from offramp.progress import Progress
from offramp.run.mixed import column
from offramp.run.routing import FILE, Routing
from offramp.spread import Folder, digest_of


@dataclass(frozen=True)
class Wish:
    """How to run.

    Attributes:
        point: operating point.
        batch_size: samples that a stage runs at once.
        workers: of each stage; none: one each.
    """

    point: str
    batch_size: int
    workers: tuple[int, ...]


def parts_of(out: Path) -> Path:
    """Where an unfinished run keeps what it has."""
    return out.with_name(out.name + ".parts")


def scored(live: Bundle, opening: Opening, wish: Wish, parts: Path, progress: Progress) -> Answers:
    """The answers to all inputs; a run that was killed goes on where it was.

    Raises:
        InputError: if a package is missing, or there is an unfinished run of something else.
        DataError: if the data cannot be used.
    """
    point, source = live.point(wish.point), opening.source
    about = {
        "bundle": hashlib.sha256(live.manifest.model_dump_json().encode()).hexdigest(),
        "data": source.fingerprint(),
        "operating point": point.name,
    }
    assert live.multi_exit is not None
    asked = Asked(opening.anywhere(), len(source), live.multi_exit.backbone.classes, about)
    Answers(parts, about, asked.samples, asked.classes).close()  # refused before anything is exported
    stages = parts / "stages"
    if not (stages / FILE).exists():
        shutil.rmtree(stages, ignore_errors=True)
        export(live, stages, [point.name], progress)
    cut = Routing.read(stages).points[point.name].cut
    folder = Folder(stages.resolve(), digest_of(stages), cut, threads=1)
    threshold = column(point.configuration.enabled, point.configuration.threshold)
    return score(asked, Scored(folder, threshold), parts, wish.batch_size, wish.workers, progress)


def write(answers: Answers, live: Bundle, path: Path) -> None:
    """The predictions as csv, in the order of the inputs."""
    with path.open("w", newline="") as stream:
        lines = Lines(live, csv.writer(stream))
        for one in answers:
            lines.add(*one)
