"""A server process under a mix of clients for a while; fails if its memory grows or anybody gets what they should not.

    python -m benchmarks.soak benchmarks/soak/config.json [--minutes 30] [--out docs/results/soak.json]

Writes resident memory over time, open files, and how everything ended, as JSON and as a figure next to it.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.server import served
from benchmarks.soak.clients import BIG, Clients
from benchmarks.soak.figure import draw
from benchmarks.soak.growth import growth
from offramp.exporting import export
from offramp.machine import machine
from offramp.model.augment import Augment
from offramp.pipeline import build
from offramp.recipe import Recipe
from offramp.testing.models import CNN
from offramp.train.fit import Schedule

RESULT = Path("docs/results/soak.json")
TOKEN = "soak"


def main() -> int:
    """Runs it; 0 where nothing grew and everything ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=Path("benchmarks/soak/config.json"))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    if given.minutes is not None:
        config["minutes"] = given.minutes
    with tempfile.TemporaryDirectory() as folder:
        result = soak(config, Path(folder))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    draw(result, given.out.with_suffix(".png"))
    print(json.dumps({name: result[name] for name in ("growth", "files", "ended", "requests", "counts")}, indent=1))
    return len(wrong(result))


def wrong(result: dict[str, Any]) -> list[str]:
    """What must not be; nothing where all is well."""
    found = [kind for kind in result["counts"] if not kind.endswith(": ok")]
    if result["growth"] > result["config"]["tolerance"]:
        found.append(f"memory grew by {100 * result['growth']:.1f} %")
    if result["files"][1] > result["files"][0] + 4:
        found.append(f"open files grew from {result['files'][0]} to {result['files'][1]}")
    if result["ended"] != 0:
        found.append(f"the server ended with {result['ended']}")
    for one in found:
        print(f"wrong: {one}", file=sys.stderr)
    return found


def soak(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What happened."""
    rng = np.random.default_rng(config["seed"])
    net, inputs = made(folder, config["seed"])
    with torch.no_grad():
        labels = net(inputs).argmax(1).numpy()
    with served(str(folder / "stages"), admin_token=TOKEN) as (process, port):
        clients = Clients(port, inputs.numpy(), labels, ["full", "balanced", "fastest"], TOKEN, rng)
        seconds, memory, files = asyncio.run(watched(process.pid, clients, config))
        process.terminate()
        ended = process.wait(60)
    return {
        "machine": machine("starlette", "uvicorn", "websockets", "onnxruntime"),
        "config": config,
        "growth": growth(seconds, memory, config["warm"]),
        "files": [files[0], files[-1]],
        "ended": ended,
        "requests": sum(clients.seen.values()),
        "counts": dict(sorted(clients.seen.items())),
        "seconds": [round(one, 1) for one in seconds],
        "memory": memory,
    }


RECIPE = Recipe(
    heads=("grid-linear", "pooled-mlp"),
    points=3,
    regime="distil",
    augment=Augment(copies=1),
    schedule=Schedule(epochs=4, batch_size=32, learning_rate=1e-2),
    gate="max-prob",
    calibrator="temperature",
    searcher="shared",
    source="for the soak",
)
"""Exits that are taken, made in a second."""


def made(folder: Path, seed: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """A toy whose exported stages are in the folder, and inputs."""
    net, inputs = CNN.model(), CNN.inputs(BIG, seed)
    assert isinstance(inputs, torch.Tensor)
    bundle = build(net, inputs[:400], out=folder / "bundle", recipe=RECIPE, max_drop=0.1, batch_size=64, timed=())
    export(bundle, folder / "stages")
    return net.eval(), inputs


async def watched(pid: int, clients: Clients, config: dict[str, Any]) -> tuple[list[float], list[int], list[int]]:
    """Times, resident bytes and open files while the clients are at work."""
    before = opened(pid)
    await clients.crowd(config["clients"])
    began = time.monotonic()
    until = began + 60.0 * config["minutes"]
    work = [
        asyncio.create_task(clients.work(lambda: time.monotonic() > until, config["pause"]))
        for _ in range(config["clients"])
    ]
    seconds, memory, files = [0.0], [resident(pid)], [before]
    while time.monotonic() < until:
        await asyncio.sleep(config["every"])
        seconds.append(time.monotonic() - began)
        memory.append(resident(pid))
    await asyncio.gather(*work)
    await asyncio.sleep(1.0)
    files.append(opened(pid))
    return seconds, memory, files


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def opened(pid: int) -> int:
    """How many files and sockets it has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    sys.exit(main())
