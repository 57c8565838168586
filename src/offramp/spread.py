"""Exported stages on several machines: each process has the folder, loads one stage, and knows it is the right one."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from offramp.decide.rule import rule
from offramp.deployed import UNCUT, check_fit, runtime_of
from offramp.errors import BundleError, InputError
from offramp.run.apart import Apart
from offramp.run.routing import FILE, Routing, StageFile
from offramp.run.staged import MASK


@dataclass(frozen=True)
class Folder:
    """A folder that `offramp export` wrote, as several machines see it.

    Attributes:
        path: the same on all of them.
        digest: of what must be in it; see `digest_of`.
        cut: name of the cut that is run.
        runtime: what runs the stages.
        threads: of each stage.
    """

    path: Path
    digest: str
    cut: str
    runtime: str = "onnx"
    threads: int = 1

    @cached_property
    def routing(self) -> Routing:
        """What the folder says of itself."""
        return Routing.read(self.path)

    @property
    def stages(self) -> tuple[StageFile, ...]:
        """The stages of the cut."""
        return self.routing.cuts[self.cut]

    @property
    def uncut(self) -> StageFile:
        """The whole model."""
        return self.routing.cuts[UNCUT][0]

    @property
    def names(self) -> tuple[str, ...]:
        """The model's inputs in the order in which the first stage takes them; the mask twice where heads read it."""
        names = self.uncut.inputs
        return names if len(self.stages[0].inputs) == len(names) else (*names, MASK)

    def ready(self, place: int | None) -> Apart:
        """A stage of the cut by its number, or with None the whole model, loaded in this process.

        Raises:
            BundleError: if this machine has other stages in the folder.
            InputError: if the runtime is not installed here, or answers otherwise than the model.
        """
        found = digest_of(self.path)
        if found != self.digest:
            raise BundleError(
                f"expected the stages {self.digest[:12]} in {self.path} on this node, got {found[:12]}; copy the folder"
            )
        check_fit(self.runtime, self.routing.unfit)
        stage = self.uncut if place is None else self.stages[place]
        executor = runtime_of(self.runtime)(self.path, (stage,), stage, self.threads)
        return Apart(executor, stage.exits, rule(self.routing.rule), last=not stage.state)


def digest_of(folder: Path) -> str:
    """A hash of the routing and of every file of a stage in a folder.

    Raises:
        BundleError: if one of them is missing.
    """
    found = hashlib.sha256()
    stages = {stage.file for stages in Routing.read(folder).cuts.values() for stage in stages}
    beside = {path.name for name in stages for path in folder.glob(f"{Path(name).stem}.*")}  # OpenVINO has two a stage
    try:
        for name in (FILE, *sorted(stages | beside)):
            with (folder / name).open("rb") as stream:
                found.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise BundleError(f"expected {error.filename} beside {FILE}: {error.strerror}; export again") from error
    return found.hexdigest()


def counts(stages: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """How many processes each stage gets.

    Raises:
        InputError: if there are not as many numbers as stages.

    Example:
        >>> counts(3, ()), counts(3, (4, 2, 1))
        ((1, 1, 1), (4, 2, 1))
    """
    if wanted and (len(wanted) != stages or min(wanted) < 1):
        raise InputError(
            f"expected numbers of replicas for {stages} stages, got {','.join(map(str, wanted))}; give one of at least "
            f"1 for each, as {','.join(['1'] * stages)}"
        )
    return wanted or (1,) * stages
