"""Going down under load: what was accepted is answered, on every way that answers go."""

import asyncio
import json
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.builds import images
from tests.serve.asgi import SOCKET, Hosted
from tests.serve.process import Running, body, raw, running
from tests.serve.world import deployment

STREAM = "/v2/models/toy/infer_stream"


def posted(server: Running, path: str, sent: bytes) -> socket.socket:
    channel = socket.create_connection(("127.0.0.1", server.port))
    channel.settimeout(40)
    channel.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent)
    return channel


def read(channel: socket.socket) -> bytes:
    reply = b""
    while part := channel.recv(65536):
        reply += part
    channel.close()
    return reply


def test_events_that_a_slow_client_has_not_read_are_delivered_before_the_process_ends(folder: Path) -> None:
    """All is computed when the signal comes, but more than the sockets' buffers hold is still to be read."""
    samples = 1000
    long = "\N{GRINNING FACE}" * 256  # echoed in every event, so that there is much to deliver
    sent, length = raw(np.repeat(images(4, 5).numpy(), samples // 4, 0), request_id=long)
    with running(folder, "--audit-share", "0") as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.settimeout(40)
        head = f"Inference-Header-Content-Length: {length}\r\nContent-Length: {len(sent)}\r\n\r\n"
        slow.sendall(f"POST {STREAM} HTTP/1.1\r\nHost: x\r\n{head}".encode() + sent)
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        server.process.send_signal(signal.SIGTERM)
        threading.Event().wait(6.0)  # longer than uvicorn waits by itself
        assert server.process.poll() is None
        told = read(slow)
        assert told.count(b'"final": true') == samples
        assert told.endswith(b"0\r\n\r\n")
        assert server.process.wait(20) == 0


def test_whatever_way_it_came_it_is_answered(folder: Path) -> None:
    """Events, a WebSocket and plain requests under way, and more of all of them until the process takes none."""
    x = images(6, 5).numpy()
    with running(folder, "--max-batch-size", "4", "--max-queue-delay-ms", "200", "--max-queue", "64") as server:

        async def talk() -> tuple[list[Any], list[bytes]]:
            heard: list[Any] = []
            async with connect(f"ws://127.0.0.1:{server.port}{SOCKET}", close_timeout=20) as channel:
                plain = [posted(server, path, body(x)) for path in (STREAM, "/v2/models/toy/infer") for _ in range(2)]
                for number in range(8):
                    await channel.send(body(x, id=str(number)).decode())
                heard.append(json.loads(await channel.recv()))
                server.process.send_signal(signal.SIGTERM)
                try:
                    while True:
                        heard.append(json.loads(await asyncio.wait_for(channel.recv(), 30)))
                except ConnectionClosed:
                    pass
            return heard, [await asyncio.to_thread(read, one) for one in plain]

        heard, plain = asyncio.run(talk())
        assert server.process.wait(20) == 0
    answered = [(one["id"], one["parameters"]["item"]) for one in heard if "outputs" in one]
    refused = [one["id"] for one in heard if "error" in one]
    assert len(set(answered)) == len(answered)
    whole = {number for number, _ in answered}
    assert sorted(answered) == sorted((number, item) for number in whole for item in range(6))
    assert {one["status"] for one in heard if "error" in one} <= {503}
    assert not set(refused) & whole
    for reply in plain[:2]:
        assert reply.count(b'"final": true') == 6
    for reply in plain[2:]:
        assert reply.startswith(b"HTTP/1.1 200")


def test_what_is_read_but_not_yet_in_the_queue_counts_as_accepted() -> None:
    go = threading.Event()
    made = deployment()

    def arranged(stacked: Any) -> Any:
        assert go.wait(20)
        return made.arranged(stacked)

    host = Hosted(replace(made, arranged=arranged))

    async def talk() -> None:
        assert host.idle()
        asked = asyncio.create_task(host.ask(STREAM, body(images(2, 5).numpy())))
        await asyncio.sleep(0.05)
        assert not host.idle()
        go.set()
        assert (await asked)[2].count(b'"final": true') == 2
        await host.finished()

    try:
        asyncio.run(talk())
    finally:
        host.close()
