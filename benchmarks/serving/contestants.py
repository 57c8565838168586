"""The servers that are compared, each a process of its own on one core."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.serving.load import Target, http
from offramp.errors import InputError

PEERS = Path("build/peers")

INSTALL = (
    f"pip install --target {PEERS} --no-deps litserve==0.2.19 pyzmq==27.3.0 fastapi==0.165.0 annotated-doc "
    "typing-inspection httptools uvloop python-multipart opentelemetry-api opentelemetry-semantic-conventions"
)
"""How to get LitServe beside offramp, without touching its environment."""


@contextmanager
def paused(processes: Sequence[int]) -> Iterator[None]:
    """Stops servers meanwhile, since some look for work all the time."""
    for process in processes:
        os.killpg(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.killpg(process, signal.SIGCONT)


def family(process: int) -> Iterator[int]:
    """A process and those it started, and they."""
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


@contextmanager
def served(command: Sequence[str], path: str, port: int, core: int, patience: float = 60.0) -> Iterator[int]:
    """A server of that command, pinned to a core, once it answers at a path; yields its process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{PEERS.resolve()}{os.pathsep}."}
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        until = time.monotonic() + patience
        while not _answers(f"http://127.0.0.1:{port}{path}"):
            if process.poll() is not None or time.monotonic() > until:
                raise InputError(f"expected a server behind {' '.join(command)}; see what it printed")
            time.sleep(0.2)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def offramp(stages: Path, port: int, *options: str) -> list[str]:
    """The command of `offramp serve`, with one thread."""
    return [
        *(sys.executable, "-m", "offramp", "serve", str(stages), "--name", "resnet56"),
        *("--port", str(port), "--threads", "1", *options),
    ]


def litserve(stages: Path, port: int, wait: float) -> list[str]:
    """The command of the uncut model behind LitServe; a batch waits so many seconds for others."""
    return [sys.executable, "-m", "benchmarks.serving.peer", str(stages / "uncut-0.onnx"), str(port), str(wait)]


def asking_offramp(port: int, images: np.ndarray, point: str | None, outputs: Sequence[str] = ("label",)) -> Target:
    """One image per request, as raw bytes, at an operating point; JSON in return."""
    entry = {"name": "input0", "shape": [1, *images.shape[1:]], "datatype": "FP32"}
    told = {
        "inputs": [{**entry, "parameters": {"binary_data_size": images[:1].nbytes}}],
        "outputs": [{"name": name} for name in outputs],
        "parameters": {} if point is None else {"operating_point": point},
    }
    head = json.dumps(told).encode()
    requests = [
        http(
            port,
            "/v2/models/resnet56/infer",
            head + image.tobytes(),
            Inference_Header_Content_Length=str(len(head)),
        )
        for image in images
    ]
    return Target(f"offramp, {point}", port, requests)


def asking_litserve(port: int, images: np.ndarray, name: str = "LitServe, uncut") -> Target:
    """One image per request, base64 in JSON."""
    bodies = [json.dumps({"image": base64.b64encode(image.tobytes()).decode()}).encode() for image in images]
    return Target(name, port, [http(port, "/predict", body, Content_Type="application/json") for body in bodies])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
