"""Throughput and latency of the server beside itself uncut and beside LitServe.

    python -m benchmarks.serving.race benchmarks/serving/race.json --work build/serving

All servers stand ready on one core, and the callers have another; in turn each is asked while the others are stopped.
Nothing else should run meanwhile. LitServe is needed beside offramp: see `contestants.INSTALL`.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processor import processor_seconds
from benchmarks.serving.contestants import (
    INSTALL,
    PEERS,
    asking_litserve,
    asking_offramp,
    family,
    free_port,
    litserve,
    offramp,
    paused,
    served,
)
from benchmarks.serving.load import Heard, Target, closed, once, opened
from benchmarks.serving.race_page import curve, page
from benchmarks.serving.scene import Scene, scene
from offramp.errors import InputError
from offramp.machine import machine

DOCS = Path("docs")
VERSION = 1
SERVERS, CALLERS = 0, 1
"""Cores."""


@dataclass(frozen=True)
class Contestant:
    """A server and what it is asked."""

    target: Target
    process: int
    uncut: bool


def main() -> None:
    """Runs the race, and writes result, page and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/serving"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    if not (PEERS / "litserve").exists():
        raise InputError(f"expected LitServe in {PEERS}; run {INSTALL}")
    config = json.loads(given.config.read_text())
    made = scene(config, given.data, given.work)
    known = machine("onnxruntime", "uvicorn", "starlette")
    os.sched_setaffinity(0, {CALLERS})
    with contestants(made, config) as all_:
        found = {one.target.name: answers(all_, one) for one in all_}
        rows = list(closed_rows(all_, config))
        curves = list(open_rows(all_, config))
    own = np.array(found[all_[0].target.name])
    agreement = {name: float((own == labels).mean()) for name, labels in found.items()}
    result = {"version": VERSION, "machine": known, "config": config, "images": len(own), "agreement": agreement}
    result |= {"rows": rows, "curves": curves}
    (DOCS / "results" / "serving_race.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / "serving_race.md").write_text(page(result, given.config))
    curve(result, DOCS / "results" / "serving_race.png")


@contextmanager
def contestants(made: Scene, config: Mapping[str, Any]) -> Iterator[list[Contestant]]:
    """All servers, ready."""
    with ExitStack() as stack:
        found = []
        for wait in config["litserve_waits"]:
            port = free_port()
            process = stack.enter_context(served(litserve(made.stages, port, wait), "/health", port, SERVERS))
            target = asking_litserve(port, made.images, f"LitServe, uncut, waits {1000 * wait:g} ms")
            found.append(Contestant(target, process, True))
        port = free_port()
        process = stack.enter_context(served(offramp(made.stages, port), "/v2/health/ready", port, SERVERS))
        for point in config["points"]:
            target = asking_offramp(port, made.images, point)
            found.append(Contestant(target, process, point == "full"))
        yield found


def answers(all_: list[Contestant], one: Contestant) -> list[int]:
    """Its class for each image."""
    heard, _ = measured(all_, one, once(one.target))
    assert heard.replies is not None
    return [_label(body) for _, body in sorted(heard.replies, key=lambda reply: reply[0])]


def _label(body: Mapping[str, Any]) -> int:
    return int(body["label"] if "label" in body else body["outputs"][0]["data"][0])


def measured(all_: list[Contestant], one: Contestant, load: Any) -> tuple[Heard, float]:
    """What came back, and what it took of the processor, while the other servers are stopped."""
    others = {other.process for other in all_} - {one.process}
    with paused(sorted(others)):
        before = _used(one)
        heard = asyncio.run(load)
        return heard, _used(one) - before


def _used(one: Contestant) -> float:
    """Processor seconds of a server and of what it started."""
    return sum(map(processor_seconds, family(one.process)))


def closed_rows(all_: list[Contestant], config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every round, every number of callers, every contestant."""
    for round_ in range(config["rounds"]):
        for callers in config["callers"]:
            for one in all_:
                measured(all_, one, closed(one.target, callers, config["warm_up"]))
                heard, used = measured(all_, one, closed(one.target, callers, config["seconds"]))
                answered = len(heard.seconds)
                p50, p99 = np.quantile(heard.seconds, (0.5, 0.99)) * 1e3
                row = {"name": one.target.name, "callers": callers, "round": round_, "p50": p50, "p99": p99}
                yield row | {
                    "rate": answered / max(heard.at),
                    "refused": heard.refused,
                    "processor_ms": 1e3 * used / answered,
                }
                print(f"round {round_}: {callers} callers, {one.target.name}: {answered}", file=sys.stderr)


def open_rows(all_: list[Contestant], config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every rate, every contestant, until it falls behind."""
    behind: set[str] = set()
    for seed, rate in enumerate(config["rates"]):
        for one in all_:
            if one.target.name in behind:
                continue
            heard, _ = measured(all_, one, opened(one.target, rate, config["rate_seconds"], seed))
            p50, p99 = np.quantile(heard.seconds, (0.5, 0.99)) * 1e3
            achieved = len(heard.seconds) / max(heard.at)
            row = {"name": one.target.name, "offered": rate, "rate": achieved, "p50": p50, "p99": p99}
            yield row | {"refused": heard.refused}
            if achieved < 0.95 * len(heard.seconds) / config["rate_seconds"] or p50 > 500.0:
                behind.add(one.target.name)
            print(f"{rate}/s, {one.target.name}: {achieved:.0f}/s, p50 {p50:.1f} ms", file=sys.stderr)


if __name__ == "__main__":
    main()
