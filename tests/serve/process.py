"""A server in a process of its own."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from websockets.asyncio.client import connect

SAMPLES = 24

NETS = """
from offramp.testing.models import CNN


def net():
    return CNN.model()
"""


@dataclass(frozen=True)
class Running:
    """A server."""

    process: "subprocess.Popen[str]"
    port: int

    @property
    def client(self) -> Any:
        return triton.InferenceServerClient(f"127.0.0.1:{self.port}", concurrency=8, network_timeout=30.0)

    @property
    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])

    def ask(self, path: str, body: bytes | None = None, how: str = "POST", **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=how)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    @property
    def socket(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/v2/models/toy/ws", max_size=None)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Running]:
    with serving(str(folder / "toy"), f"{folder / 'nets.py'}:net", "--backend", "eager", *options) as found:
        yield found


@contextmanager
def serving(*arguments: str) -> Iterator[Running]:
    """`offramp serve` with these arguments, on a free port if none is among them."""
    command = [sys.executable, "-m", "offramp", "serve", "--port", "0", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Running(process, int(line.rsplit(":", 1)[1]))
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def tensor(x: np.ndarray, binary: bool = True) -> Any:
    made = triton.InferInput("input0", list(x.shape), triton.np_to_triton_dtype(x.dtype))
    made.set_data_from_numpy(x, binary_data=binary)
    return made


def body(x: np.ndarray, **rest: Any) -> bytes:
    entry = {"name": "input0", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    return json.dumps({"inputs": [entry], **rest}).encode()


def raw(x: np.ndarray, outputs: bool | None = None, **rest: Any) -> tuple[bytes, int]:
    """A request with raw tensors, and how many of its bytes are JSON; `outputs`: whether they come raw, too."""
    wanted = (
        None if outputs is None else [triton.InferRequestedOutput(name, outputs) for name in ("logits", "exit_index")]
    )
    made, length = triton.InferenceServerClient.generate_request_body([tensor(x)], outputs=wanted, **rest)
    assert length is not None
    return bytes(made), length


def message(x: np.ndarray, outputs: bool | None = None, **rest: Any) -> bytes:
    """The same as a binary message."""
    made, length = raw(x, outputs, **rest)
    return length.to_bytes(4, "little") + made
