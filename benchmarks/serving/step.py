"""The controller under a load that grows four times and falls again: latency held, accuracy given back.

    python -m benchmarks.serving.step benchmarks/serving/step.json --work build/serving/step

The server has one core and the load the other. The same load on the same server without a controller is measured, too.
"""

import argparse
import asyncio
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kept import kept
from benchmarks.serving.contestants import asking_offramp, free_port, offramp, served
from benchmarks.serving.live import told
from benchmarks.serving.load import Heard, Target, opened
from benchmarks.serving.scene import Scene, scene
from benchmarks.serving.step_page import figure_of, page
from offramp.machine import machine

DOCS = Path("docs")
VERSION = 1
SERVER, LOAD = 0, 1
"""Cores."""


def main() -> None:
    """Runs what is missing, and writes result, page and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/serving/step"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    known = machine("onnxruntime", "uvicorn", "starlette")
    made = scene(config, given.data, given.work)
    os.sched_setaffinity(0, {LOAD})
    result: dict[str, Any] = {"version": VERSION, "machine": known, "config": config}
    hold = ["--hold", f"p95={config['target']}", "--floor", str(config["floor"])]
    for name, options in (("held", hold), ("full", ["--point", "full"])):
        row = kept(given.work / f"{name}.json", lambda options=options: run(made, config, options))  # type: ignore[misc]
        result[name] = row["windows"]
    (DOCS / "results" / "serving_step.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / "serving_step.md").write_text(page(result, given.config))
    figure_of(result, DOCS / "results" / "serving_step.png")


def run(made: Scene, config: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """The load on a server with these options."""
    port = free_port()
    target = asking_offramp(port, made.images, None)
    seen: list[tuple[float, str]] = []
    ended = threading.Event()
    with served(offramp(made.stages, port, *options), "/v2/health/ready", port, SERVER):
        asyncio.run(opened(target, config["low"], 3.0, seed=0))
        began = time.perf_counter()

        def looks() -> None:
            while not ended.wait(0.25):
                seen.append((time.perf_counter() - began, told(port, "/v2/models/resnet56/points")["active"]))

        thread = threading.Thread(target=looks)
        thread.start()
        try:
            heard = asyncio.run(_phases(target, config))
        finally:
            ended.set()
            thread.join()
    return {"windows": windows(heard, seen, config)}


async def _phases(target: Target, config: Mapping[str, Any]) -> list[tuple[str, float, Heard]]:
    found, first = [], 0.0
    for seed, (phase, seconds) in enumerate(config["seconds"].items()):
        rate = config["low"] * (config["factor"] if phase == "step" else 1)
        found.append((phase, first, await opened(target, rate, seconds, seed)))
        first += seconds
    return found


def windows(
    phases: Sequence[tuple[str, float, Heard]], seen: Sequence[tuple[float, str]], config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """By second of the request: latencies, answers, and the active point."""
    rows = []
    for phase, first, heard in phases:
        seconds = np.array(heard.seconds)
        due = np.array(heard.at) - seconds + first
        last = first + config["seconds"][phase]
        for at in np.arange(first, last, config["window"]):
            here = seconds[(due >= at) & (due < at + config["window"])]
            points = [point for when, point in seen if when < at + config["window"]]
            rows.append(
                {
                    "phase": phase,
                    "at": float(at),
                    "requests": len(here),
                    "p50": float(np.quantile(here, 0.5)),
                    "p95": float(np.quantile(here, 0.95)),
                    "point": points[-1] if points else None,
                }
            )
    return rows


if __name__ == "__main__":
    main()
