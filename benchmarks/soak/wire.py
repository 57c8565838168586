"""The least of HTTP that a client needs, so that one can also break off in the middle."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

HEADER = "Inference-Header-Content-Length"


def head(path: str, size: int | None, how: str = "POST", headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a request; `size`: of its body, None where that comes in chunks."""
    body = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    lines = [f"{how} {path} HTTP/1.1", "Host: soak", "Connection: close", body]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def exchange(port: int, *sent: bytes, most: int | None = None) -> bytes:
    """What the server says to these bytes; with `most` the client leaves after so many bytes of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        try:
            for part in sent:
                writer.write(part)
                await writer.drain()
        except OSError:  # it has read enough, and says so
            pass
        reply = b""
        while (most is None or len(reply) < most) and (part := await reader.read(65536)):
            reply += part
        return reply
    except OSError:
        return b""
    finally:
        writer.transport.abort()


def status(reply: bytes) -> int:
    """Of a reply; 0 where there is none."""
    return int(reply[9:12]) if reply.startswith(b"HTTP/1.1 ") else 0


def as_json(x: np.ndarray, **rest: Any) -> bytes:
    """A request all in JSON."""
    entry = {"name": "input0", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    return json.dumps({"inputs": [entry], **rest}).encode()


def as_raw(x: np.ndarray, **rest: Any) -> tuple[bytes, int]:
    """A request with raw numbers, and how many of its bytes are JSON."""
    own = {"binary_data_size": x.nbytes}
    told = {"inputs": [{"name": "input0", "shape": list(x.shape), "datatype": "FP32", "parameters": own}], **rest}
    text = json.dumps(told).encode()
    return text + x.tobytes(), len(text)
