"""What networks say on the parts that choose, certify and report, held against the plain model; kept in a folder."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from offramp.load.combine import subset
from offramp.model.backbone import Backbone
from offramp.model.cache import Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit, Recording
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.sources import Labels, Source
from offramp.split import Parts
from offramp.tasks.task import Task

USED = ("choose", "certify", "report")
"""The parts that alternatives are chosen, proved and reported on."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What all alternatives share.

    Attributes:
        backbone: the user's model, analysed.
        task: what its outputs mean.
        source: the data.
        parts: how it is divided.
        labels: of all samples; None where there are none.
        work: folder in which passes and builds are kept.
        own: whether the parts are those of the bundle, so that its choose part may choose anew.
        progress: told how far the work is.
    """

    backbone: Backbone
    task: Task
    source: Source
    parts: Parts
    labels: Labels | None
    work: Path
    own: bool = True
    progress: Progress = silent

    def asked(self, model: nn.Module) -> str:
        """Names what is made of a model, this data and these parts, so that nothing is taken for something else."""
        parts = [f"{name} {indices.tolist()}" for name, indices in sorted(self.parts.items())]
        told = "\n".join([model_fingerprint(model), self.source.fingerprint(), self.task.name, *parts])
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def labels_of(self, part: str) -> Labels | None:
        """Labels of a part."""
        return None if self.labels is None else self.labels[self.parts[part]]

    def recorded(self, multi_exit: MultiExit, name: str, parts: Sequence[str] = USED) -> dict[str, Recording]:
        """What all exits of a model say on some parts; a pass that was made before is read."""
        model, original = multi_exit.backbone.model, multi_exit.original
        passes = Pass(
            model, reader(self.task), multi_exit.wanted(), model_fingerprint(model), stage=name, original=original
        )
        found = {}
        for part in parts:
            folder = self.work / "passes" / f"{_plain(name)}-{part}"
            cache = passes.run(subset(self.source, self.parts[part]), folder, split=part, progress=self.progress)
            found[part] = multi_exit.record(cache)
        return found


def uncut(backbone: Backbone) -> MultiExit:
    """A model with no exit at all."""
    return MultiExit(backbone, (), nn.ModuleList())


def against(recordings: Mapping[str, Recording], plain: Mapping[str, Recording]) -> dict[str, Recording]:
    """The same, held against what the plain model says."""
    return {
        part: replace(recording, original=np.array(plain[part].reference)) for part, recording in recordings.items()
    }


def _plain(name: str) -> str:
    """A name as a folder may have it.

    >>> _plain("net.py:small > big")
    'net.py-small---big'
    """
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in name)
