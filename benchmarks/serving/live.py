"""A server whose inputs change: alarm, fallback, refit from what it kept, and the new bundle taken meanwhile."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.contestants import asking_offramp, free_port, served
from benchmarks.serving.load import Heard, Target, once

TOKEN = "benchmark"


class Stream:
    """What was sent and heard so far, in windows."""

    def __init__(self, window: int, labels: Mapping[int, int]) -> None:
        self.window, self.rows = window, list[dict[str, Any]]()
        self._labels = labels
        self._sent = 0

    def add(self, phase: str, heard: Heard, first: int, leaving: Mapping[str, Sequence[float]]) -> None:
        """The replies of a phase, in the order in which they came."""
        assert heard.replies is not None
        told = [(number + first, reply) for number, reply in heard.replies]
        for at in range(0, len(told), self.window):
            some = told[at : at + self.window]
            points = [reply["parameters"]["operating_point"] for _, reply in some]
            said = [{one["name"]: one["data"][0] for one in reply["outputs"]} for _, reply in some]
            versions = [reply["model_version"] for _, reply in some]
            costs = [
                leaving[version + point][one["exit_index"]]
                for version, point, one in zip(versions, points, said, strict=True)
            ]
            agree = [one["label"] == self._labels[number] for (number, _), one in zip(some, said, strict=True)]
            self.rows.append(
                {
                    "phase": phase,
                    "until": self._sent + at + len(some),
                    "disagreement": 1.0 - float(np.mean(agree)),
                    "cost": float(np.mean(costs)),
                    "point": points[-1],
                    "version": versions[-1],
                    "p95": float(np.quantile(heard.seconds[at : at + self.window], 0.95)),
                }
            )
        self._sent += len(told)


def told(port: int, path: str, body: bytes | None = None, how: str = "GET") -> Any:
    """What the server says, as its administrator asks it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=how)
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.loads(reply.read())


def leaving(folder: Path) -> dict[str, Sequence[float]]:
    """By operating point what leaving at each exit costs, of exported stages."""
    entries = json.loads((folder / "routing.json").read_text())["points"]
    return {name: entry["leaving"] for name, entry in entries.items()}


def live(
    phases: Mapping[str, np.ndarray],
    labels: Sequence[int],
    config: Mapping[str, Any],
    work: Path,
    refit: Sequence[str],
    export: Sequence[str],
) -> dict[str, Any]:
    """The whole story on a real server.

    Args:
        phases: images in the order in which they are sent: clean, blurred, after.
        labels: the backbone's own class of each.
        config: of the benchmark.
        work: folder with `versions/1`, the exported stages.
        refit: command that makes a bundle of what was kept.
        export: command that exports it to `versions/2`.
    """
    port, wishes = free_port(), config["live"]
    options = ["--fallback", "--audit-share", str(wishes["share"]), "--keep", str(work / "kept"), "--keep-samples"]
    options += [str(100_000), "--point", wishes["point"], "--admin-token", TOKEN]
    command = [sys.executable, "-m", "offramp", "serve", str(work / "versions"), "--name", "resnet56"]
    command += ["--port", str(port), "--threads", "1", *options]
    costs = {f"1{name}": shares for name, shares in leaving(work / "versions" / "1").items()}
    stream = Stream(wishes["window"], dict(enumerate(labels)))
    with served(command, "/v2/health/ready", port, 0):
        first, seconds = 0, {}
        for phase, images in phases.items():
            if phase == "after":
                began = time.perf_counter()
                subprocess.run(refit, check=True)
                subprocess.run(export, check=True)
                seconds["refit"] = time.perf_counter() - began
                costs |= {f"2{name}": shares for name, shares in leaving(work / "versions" / "2").items()}
                began = time.perf_counter()
                told(port, "/v2/repository/models/resnet56/load", b"{}", "POST")
                seconds["load"] = time.perf_counter() - began
            target: Target = asking_offramp(port, images, None, ("label", "exit_index"))
            stream.add(phase, asyncio.run(once(target, wishes["callers"])), first, costs)
            first += len(images)
        before = told(port, "/v2/models/resnet56/points")
    return {"windows": stream.rows, "seconds": seconds, "last": before["active"], "kept": _kept(work / "kept")}


def _kept(folder: Path) -> int:
    return sum(int(path.stem.rpartition("-")[2]) for path in folder.glob("*.kept"))
