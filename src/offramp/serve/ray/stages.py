"""Which stages an exported folder is served from, and each of them ready to run by itself."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from offramp.decide.rule import rule
from offramp.deployed import UNCUT, runtime_of
from offramp.errors import BundleError, InputError
from offramp.run.apart import Apart
from offramp.run.routing import FILE, Routing, StageFile
from offramp.run.staged import MASK
from offramp.serve.deployment import any_of


@dataclass(frozen=True)
class Folder:
    """A folder that `offramp export` wrote, as several machines see it.

    Attributes:
        path: the same on all of them.
        digest: of what must be in it; see `digest_of`.
        runtime: what runs the stages.
        threads: of each stage.
    """

    path: Path
    digest: str
    runtime: str = "onnx"
    threads: int = 1

    @cached_property
    def routing(self) -> Routing:
        """What the folder says of itself."""
        return Routing.read(self.path)

    @property
    def cut(self) -> str:
        """Name of the cut that has the exits of all operating points."""
        entries = self.routing.points.values()
        widest = any_of([entry.enabled for entry in entries])
        return next(entry.cut for entry in entries if entry.enabled == widest)

    @property
    def stages(self) -> tuple[StageFile, ...]:
        """Its stages; only the uncut model where no operating point has exits."""
        return self.routing.cuts[self.cut]

    @property
    def whole(self) -> StageFile | None:
        """The uncut model, where an operating point needs it beside the stages."""
        needed = self.cut != UNCUT and not all(any(entry.enabled) for entry in self.routing.points.values())
        return self.routing.cuts[UNCUT][0] if needed else None

    @property
    def names(self) -> tuple[str, ...]:
        """The model's inputs in the order in which the first stage takes them."""
        names = self.routing.cuts[UNCUT][0].inputs
        return names if len(self.stages[0].inputs) == len(names) else (*names, MASK)

    def ready(self, place: int | None) -> Apart:
        """A stage by its number, or with None the uncut model, loaded in this process.

        Raises:
            BundleError: if this machine has other stages in the folder.
        """
        found = digest_of(self.path)
        if found != self.digest:
            raise BundleError(
                f"expected the stages {self.digest[:12]} in {self.path} on this node, got {found[:12]}; copy the folder"
            )
        stage = self.routing.cuts[UNCUT][0] if place is None else self.stages[place]
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
    """Replicas of each stage.

    Raises:
        InputError: if there are not as many numbers as stages.

    Example:
        >>> counts(3, ()), counts(3, (4, 2, 1))
        ((1, 1, 1), (4, 2, 1))
    """
    if wanted and len(wanted) != stages:
        raise InputError(
            f"expected numbers of replicas for {stages} stages, got {len(wanted)}; give one for each, as 4,2,1"
        )
    return wanted or (1,) * stages
