"""A bundle held against a source: which samples are looked at, and what all exits say of them."""

import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from offramp.bundle import Bundle
from offramp.confidence import Said
from offramp.errors import DataError, InputError
from offramp.inputs import Inputs, mask_of, shapes
from offramp.load.combine import subset
from offramp.load.labels import known_labels
from offramp.load.trial import check_taken
from offramp.model.cache import Pass
from offramp.model.multi_exit import MultiExit, Recording
from offramp.model.points import at_size
from offramp.progress import Progress, silent
from offramp.reading import reader
from offramp.sources import Labels, Source


@dataclass(frozen=True, eq=False)
class Look:
    """An attached bundle and a source that its backbone takes.

    Attributes:
        bundle: as it was given.
        live: its model, as captured with inputs of this source's size.
        source: the data.
        labels: of all samples, in the form of the task; None where they are not there, or not read.
        progress: told how far a pass is.
    """

    bundle: Bundle
    live: MultiExit
    source: Source
    labels: Labels | None
    progress: Progress = silent

    @classmethod
    def at(cls, bundle: Bundle, source: Source, labels: bool | None = None, progress: Progress = silent) -> "Look":
        """A look at a source.

        Args:
            bundle: attached to its backbone.
            source: the data.
            labels: True: labels must be there; False: they are not read; None: they are used where they are.
            progress: told how far a pass is.

        Raises:
            DataError: if the model does not take the samples, or labels are none of its task.
            InputError: if the bundle is not attached.
        """
        live = bundle.live.multi_exit
        first = source.inputs(np.arange(min(2, len(source))))
        check_taken(live.backbone.model, first, live.backbone.example, source.name)
        live = _at_size(live, first, bundle)
        known = known_labels(source, labels)
        known = None if known is None else bundle.task.checked(known, live.backbone.classes)
        return cls(bundle, live, source, known, progress)

    @cached_property
    def own(self) -> bool:
        """Whether this is the data that the bundle was built from."""
        return is_own(self.bundle, self.source)

    def part(self, wanted: str | None) -> str:
        """The part that is looked at where `wanted` is None: of the build's own data the report part, since its other
        samples trained or chose something; else all.
        """
        return wanted or ("report" if self.own else "all")

    def indices(self, part: str) -> Int[np.ndarray, " samples"]:
        """The samples of a part, or `all`.

        Raises:
            DataError: if the source has not so many samples.
            InputError: if there is no such part.
        """
        if part == "all":
            return np.arange(len(self.source))
        splits = self.bundle.splits
        if part not in splits:
            raise InputError(f"expected a part among all, {', '.join(splits)}; got {part!r}")
        indices = splits[part]
        if indices.max() >= len(self.source):
            samples = self.bundle.manifest.data.samples
            raise DataError(f"expected the {samples} samples of the build, got {len(self.source)}; use --part all")
        return indices

    def said(self, indices: Int[np.ndarray, " samples"]) -> Said:
        """What all exits say of some samples, by one pass of the backbone."""
        bundle = self.bundle
        truth = None if self.labels is None else self.labels[indices]
        cost = self.live.macs(bundle.gate)
        return Said.of(self._recorded(indices), bundle.task, bundle.gate, bundle.calibrators, cost, truth)

    def _recorded(self, indices: Int[np.ndarray, " samples"]) -> Recording:
        live, fingerprint = self.live, self.bundle.manifest.model.fingerprint
        passes = Pass(live.backbone.model, reader(self.bundle.task), live.wanted(), fingerprint, original=live.original)
        with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
            some = subset(self.source, indices)
            cache = passes.run(some, Path(folder) / "evaluate", split="evaluate", progress=self.progress)
            return live.record(cache)


def is_own(bundle: Bundle, source: Source) -> bool:
    """Whether this is the data that a bundle was built from."""
    return source.fingerprint() == bundle.manifest.data.fingerprint


def unseen(bundle: Bundle, source: Source) -> Source:
    """Of the data of the build its report part, which nothing was learnt or chosen from; other data as it is.

    Of the samples that trained heads more would leave early.
    """
    return subset(source, bundle.splits["report"]) if is_own(bundle, source) else source


def check_classes(bundle: Bundle, what: str) -> None:
    """Refuses what only tasks have of which one class is right.

    Raises:
        InputError: if the task has no such classes.
    """
    if bundle.task.probabilities(np.zeros((1, bundle.manifest.model.classes))) is None:
        raise InputError(f"expected a task with one right class for {what}, got {bundle.task.name}; leave them out")


def _at_size(live: MultiExit, inputs: Inputs, bundle: Bundle) -> MultiExit:
    """The model as captured with inputs of this size, whose MACs are those of this size.

    Of texts of another length all parts cost more or less alike, so they are charged as the bundle has it.
    """
    backbone = live.backbone
    if shapes(inputs) == shapes(backbone.example) or mask_of(inputs) is not None:
        return live
    names = [exit_.point for exit_ in live.exits]
    return replace(live, backbone=at_size(backbone, inputs, reader(bundle.task), names))
