"""What a folder of exported stages holds, as JSON with a version: all that a foreign runtime needs. Free of torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from offramp.errors import BundleError
from offramp.types import Configuration

FILE, VERSION = "routing.json", 1

STATE = "state"
"""How the names of tensors between stages begin."""


FULL = "full_"
"""How the names of what else a model returns begin in files, where they might be taken otherwise."""


def full_name(name: str) -> str:
    """What a tensor is called in a file that the model calls so."""
    return f"{FULL}{name}"


@dataclass(frozen=True)
class StageFile:
    """A stage on disk.

    Attributes:
        file: its name in the folder.
        inputs: names of the tensors it takes, in order: those of the model at the first stage, else the state's.
        state: names of the next state's tensors, in the order of the next stage's inputs; none at the last stage.
        exits: the exits whose heads it has; at the last stage the backbone's own, by the number behind all others.
        logits: per exit, the name of its calibrated logits.
        score: per exit, the name of the gate's score.
        full: at the last stage, names of what else the model returns.
    """

    file: str
    inputs: tuple[str, ...]
    state: tuple[str, ...]
    exits: tuple[int, ...]
    logits: tuple[str, ...]
    score: tuple[str, ...]
    full: tuple[str, ...] = ()

    def inner(self, name: str) -> bool:
        """Whether an input comes from the stage before, not from the user."""
        return name.startswith(STATE)

    @property
    def outputs(self) -> list[str]:
        """All that it gives, in order: the next state, logits and score of each exit, and what else there is."""
        pairs = (name for pair in zip(self.logits, self.score, strict=True) for name in pair)
        return [*self.state, *pairs, *map(full_name, self.full)]


@dataclass(frozen=True)
class PointEntry:
    """An operating point: leave at the first enabled exit whose score is at least its threshold.

    Attributes:
        enabled: per exit but the backbone's.
        threshold: per exit but the backbone's.
        cut: which of the routing's cuts has stages for these exits.
        promise: the certified upper limit of the risk, in the sense of the bundle's guarantee (with probability 1 -
            delta, or on average); None where nothing was certified.
        cost: mean share of the backbone's multiply-accumulates when it was chosen; None in folders of earlier versions.
        leaving: that share for each exit, the backbone's own last; None in folders of earlier versions.
        loss: the risk measured when it was chosen; None in folders of earlier versions.
    """

    enabled: tuple[bool, ...]
    threshold: tuple[float, ...]
    cut: str
    promise: float | None = None
    cost: float | None = None
    leaving: tuple[float, ...] | None = None
    loss: float | None = None

    @property
    def configuration(self) -> Configuration:
        """As the run loop takes it."""
        return Configuration(self.enabled, self.threshold)


@dataclass(frozen=True)
class Routing:
    """The stages and the operating points.

    Attributes:
        inputs: per input of the model its name, shape without batch axis and NumPy type; -1 stands for an open size.
            Where they are known, `below`: its numbers are from 0 to below that; `most`: so long may its sequences be.
            Of ids of categories also `sizes`, how many values each field has, and `least`, the smallest id.
        classes: how many logits there are.
        exits: the name of each exit's place, the backbone's last.
        cuts: by name, the stages of the model cut at some of its exits; `uncut` has one stage and no exits.
        points: the operating points by name.
        aliases: names that mean one of them.
        rule: how the scores decide, by name.
        risk: what the points' promises are about; None in folders of earlier versions, which do not say it.
        full: per tensor that the model returns besides its name, shape without batch axis and NumPy type.
        task: what the logits mean, as `tasks.task` reads it; classification in folders of earlier versions.
        unfit: by name, runtimes that were found not to answer as the model does, and how.
        max_length: tokens of a text at most, where a tokenizer lies beside the stages; None: they take token ids, or
            something else than texts.
    """

    inputs: tuple[dict[str, Any], ...]
    classes: int
    exits: tuple[str, ...]
    cuts: Mapping[str, tuple[StageFile, ...]]
    points: Mapping[str, PointEntry]
    aliases: Mapping[str, str]
    rule: str = "direct"
    risk: str | None = None
    full: tuple[dict[str, Any], ...] = ()
    task: str = "classification"
    unfit: Mapping[str, str] = field(default_factory=dict)
    max_length: int | None = None

    @property
    def point_of(self) -> tuple[int, ...]:
        """For each exit but the last, the number of its place."""
        places = {place: index for index, place in enumerate(dict.fromkeys(self.exits[:-1]))}
        return tuple(places[place] for place in self.exits[:-1])

    def write(self, folder: Path) -> None:
        """Writes `routing.json`, all or nothing."""
        draft = folder / f"{FILE}.part"
        draft.write_text(json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n")
        draft.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> "Routing":
        """The routing of a folder.

        Raises:
            BundleError: if there is none, or it is of another version, or it cannot be used.
        """
        try:
            found = json.loads((folder / FILE).read_text())
            version = found.pop("version")
            if version != VERSION:
                raise BundleError(f"expected {FILE} of version {VERSION}, got {version}; export the bundle again")
            cuts = {name: tuple(StageFile(**_tuples(one)) for one in some) for name, some in found["cuts"].items()}
            return cls(
                inputs=tuple(found["inputs"]),
                classes=int(found["classes"]),
                exits=tuple(found["exits"]),
                cuts=cuts,
                points={name: PointEntry(**_tuples(one)) for name, one in found["points"].items()},
                aliases=dict(found["aliases"]),
                rule=str(found.get("rule", "direct")),
                risk=found.get("risk"),
                full=tuple(found.get("full", ())),
                task=str(found.get("task", "classification")),
                unfit=dict(found.get("unfit", {})),
                max_length=found.get("max_length"),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(
                f"expected a folder that offramp export wrote, could not read {FILE} in {folder}: {error}"
            ) from error


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
