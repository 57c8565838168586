"""How many requests it takes until an alarm: streams drawn from what the server answers, and its auditor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.run.model import EarlyExitModel
from offramp.serve.deployment import ServedPoint
from offramp.serve.monitor import Auditor, Audits
from offramp.serve.slowdown import UNREAD, Pace, Slowdown

CHUNK = 500
"""Samples that the auditor is told of at once; it judges each by itself."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """What an operating point answers to some images.

    Attributes:
        early: who leaves before the end.
        wrong: who is answered otherwise than by the backbone.
        exits: where they leave.
    """

    early: np.ndarray
    wrong: np.ndarray
    exits: np.ndarray

    @property
    def disagreement(self) -> float:
        """Share that is answered otherwise."""
        return float(self.wrong.mean())


def recorded(model: EarlyExitModel, images: np.ndarray, point: str, batch: int = 50) -> Recorded:
    """The answers of a point, and of the whole model, to all images."""
    labels, exits = _answers(model, images, point, batch)
    own, ends = _answers(model, images, "full", batch)
    return Recorded(exits < ends.max(), labels != own, exits)


def _answers(model: EarlyExitModel, images: np.ndarray, point: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    model.use(point)
    results = [model(images[at : at + batch]) for at in range(0, len(images), batch)]
    labels = np.concatenate([np.asarray(one.output).argmax(axis=1) for one in results])
    return labels, np.concatenate([np.asarray(one.exit_index) for one in results])


def alarm(before: Recorded, after: Recorded, samples: tuple[int, int], share: float, promise: float, seed: int) -> int:
    """After how many samples of a stream that changes there is an alarm; -1: none."""
    rng = np.random.default_rng(seed)
    auditor = Auditor(Audits(share), {"point": promise}, lambda _: None)
    for known, number in zip((before, after), samples, strict=True):
        for some in np.array_split(rng.integers(0, len(known.early), number), max(number // CHUNK, 1)):
            seen = known.early[some] & (rng.random(len(some)) < share)
            wrong = known.wrong[some]
            auditor.saw("point", [bool(wrong[at]) if seen[at] else None for at in range(len(some))])
    found = auditor.found("point").alarm
    return -1 if found is None else found


def slow_rows(
    clean: Mapping[str, Recorded],
    drifted: Mapping[str, Mapping[str, Recorded]],
    points: Mapping[str, ServedPoint],
    config: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """The same for what samples cost: streams that stay clean, that change, and that come to hold only the slowest."""
    for name, point in points.items():
        assert point.leaving is not None
        leaving = np.array(point.leaving)
        last = clean[name].exits.max()
        slowest = {"attack": clean[name].exits[clean[name].exits == last]}
        changed = {kind: by[name].exits for kind, by in drifted.items()}
        for kind, exits in ({"none": clean[name].exits} | changed | slowest).items():
            numbers = [
                _slow(clean[name].exits, exits, (config["clean"], config["drifted"]), point, seed)
                for seed in range(config["number"])
            ]
            yield {
                "point": name,
                "expected": point.cost,
                "corruption": kind,
                "cost": float(leaving[exits].mean()),
                **_verdicts(numbers, config["clean"]),
            }


def _slow(before: np.ndarray, after: np.ndarray, samples: tuple[int, int], point: ServedPoint, seed: int) -> int:
    """After how many samples of a stream that changes they are said to go on for too long; -1: never."""
    rng, told, sent = np.random.default_rng(seed), list[int](), 0
    slowdown = Slowdown(Pace(), {"point": point}, lambda *_: told.append(sent))
    for exits, number in zip((before, after), samples, strict=True):
        for some in np.array_split(rng.integers(0, len(exits), number), max(number // UNREAD, 1)):
            sent += len(some)
            slowdown.saw("point", exits[some].tolist())
            if told:
                return told[0]
    return -1


def rows(
    clean: Mapping[str, Recorded],
    drifted: Mapping[str, Mapping[str, Recorded]],
    promises: Mapping[str, float],
    config: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """For each point and share: streams that stay clean, and streams that change."""
    before, after = config["clean"], config["drifted"]
    for point, promise in promises.items():
        for share in config["shares"]:
            for name, changed in (("none", clean), *drifted.items()):
                alarms = [
                    alarm(clean[point], changed[point], (before, after), share, promise, seed)
                    for seed in range(config["number"])
                ]
                yield {
                    "point": point,
                    "promise": promise,
                    "share": share,
                    "corruption": name,
                    "disagreement": changed[point].disagreement,
                    **_verdicts(alarms, before),
                }


def _verdicts(alarms: Sequence[int], clean: int) -> dict[str, Any]:
    """Of alarms after so many samples of streams that change behind the clean ones; -1 is none."""
    found = sorted(one - clean for one in alarms if one > clean)
    return {"false": sum(0 <= one <= clean for one in alarms), "found": len(found), "requests": found}
