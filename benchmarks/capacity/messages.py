"""What messages cost: processor seconds of proxy, ingress and stages per request, on a Ray cluster of one machine."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processor import processor_seconds

NAME = "capacity"
PORT = 8765


@dataclass(frozen=True)
class MessageRow:
    """Requests of one size.

    Attributes:
        samples: in a request.
        requests: that were sent.
        seconds: of processor time per request, by process: the proxy, the ingress, and each stage with its arithmetic.
    """

    samples: int
    requests: int
    seconds: Mapping[str, float]


def messages(folder: Path, wishes: Mapping[str, Any], images: np.ndarray) -> list[MessageRow]:
    """Rows for all sizes."""
    import ray
    from ray import serve

    from offramp.serve.ray import Arguments, app

    ray.init(num_cpus=16, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        # Serve logs each call, which costs as much as the call; a server under load does not
        made = app(Arguments(folder=folder, name=NAME, point=wishes["point"], audit_share=0.0))
        serve.run(made, name=NAME, logging_config={"log_level": "WARNING", "enable_access_log": False})
        return [_row(size, wishes, images) for size in wishes["samples"]]
    finally:
        serve.shutdown()
        ray.shutdown()


def _row(size: int, wishes: Mapping[str, Any], images: np.ndarray) -> MessageRow:
    import tritonclient.http as triton

    requests, at_once = wishes["requests"], wishes["at_once"]

    def share(first: int, count: int) -> None:
        client = triton.InferenceServerClient(f"127.0.0.1:{PORT}", network_timeout=60.0)  # of this thread alone
        for number in range(first, count, at_once):
            rows = (np.arange(size) + number * size) % len(images)
            asked = triton.InferInput("input0", [size, *images.shape[1:]], "FP32")
            asked.set_data_from_numpy(images[rows])
            client.infer(NAME, [asked])
        client.close()

    share(0, 2 * at_once)  # warm
    before = _processor()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(share, range(at_once), [requests] * at_once))
    after = _processor()
    return MessageRow(size, requests, {name: (after[name] - before[name]) / requests for name in sorted(after)})


def _processor() -> dict[str, float]:
    """Processor seconds so far, by what a process of Ray is."""
    found: dict[str, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            seconds = processor_seconds(int(entry.name))
        except OSError:
            continue
        replica = command.partition(f"ServeReplica:{NAME}:")[2]
        if command.startswith("ray::ProxyActor"):
            name = "proxy"
        elif command.startswith("ray::") and replica:
            name = re.split(r"[^\w]", replica)[0].lower()
        else:
            continue
        found[name] = found.get(name, 0.0) + seconds
    return found
