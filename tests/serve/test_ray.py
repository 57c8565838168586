"""The application on two nodes of a Ray cluster, against the server in one process on the same stages."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from websockets.asyncio.client import connect

from tests.builds import images
from tests.exports import NESTED
from tests.serve.apart import stages
from tests.serve.cluster import Serving, cluster, free_port, until
from tests.serve.process import body, tensor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'offramp[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray leaves much to the garbage collector

STAGES = ("Stage0", "Stage1", "Stage2", "Stage3")
SAMPLES = 64


@dataclass(frozen=True)
class Said:
    """What a server says to a request."""

    exits: list[int]
    labels: list[int]
    logits: np.ndarray
    point: str
    generation: int


def ask(port: int, x: np.ndarray, point: str | None = None) -> Said:
    client = triton.InferenceServerClient(f"127.0.0.1:{port}", network_timeout=90.0, connection_timeout=90.0)
    try:
        found = client.infer("toy", [tensor(x)], parameters=None if point is None else {"operating_point": point})
    finally:
        client.close()
    told = found.get_response()["parameters"]
    exits, labels = (found.as_numpy(name).tolist() for name in ("exit_index", "label"))
    return Said(exits, labels, found.as_numpy("logits"), told["operating_point"], told["generation"])


def same(found: Said, expected: Said) -> None:
    assert found.exits == expected.exits
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stages(tmp_path_factory.mktemp("ray") / "toy")


@pytest.fixture(scope="module")
def single(folder: Path) -> Iterator[int]:
    """Port of the server in one process."""
    command = [sys.executable, "-m", "offramp", "serve", str(folder), "--port", "0", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[Serving]:
    from ray import serve

    with cluster():
        made = Serving(folder, free_port())
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": made.port})
        made.deploy()
        yield made
        serve.shutdown()


@pytest.mark.parametrize("point", NESTED)
def test_answers_are_those_of_one_process(serving: Serving, single: int, point: str) -> None:
    x = images(SAMPLES, 5).numpy()
    expected = ask(single, x, point)
    same(ask(serving.port, x, point), expected)
    with ThreadPoolExecutor(16) as pool:
        alone = list(pool.map(lambda at: ask(serving.port, x[at : at + 1], point), range(SAMPLES)))
    assert [one.exits[0] for one in alone] == expected.exits
    assert [one.labels[0] for one in alone] == expected.labels
    np.testing.assert_allclose(np.concatenate([one.logits for one in alone]), expected.logits, rtol=0, atol=1e-6)
    assert len(set(expected.exits)) == {"wide": 4, "hasty": 3, "full": 1}[point]


def test_each_sample_of_a_socket_is_answered_once(serving: Serving, single: int) -> None:
    x = images(SAMPLES, 6).numpy()
    expected = ask(single, x, "wide")

    async def talk() -> dict[int, int]:
        async with connect(f"ws://127.0.0.1:{serving.port}/v2/models/toy/ws", max_size=None) as socket:
            await socket.send(body(x, id="a", parameters={"operating_point": "wide"}).decode())
            found: dict[int, int] = {}
            for _ in range(SAMPLES):
                told = json.loads(await asyncio.wait_for(socket.recv(), 30))
                item = told["parameters"]["item"]
                assert item not in found
                found[item] = next(one["data"][0] for one in told["outputs"] if one["name"] == "exit_index")
            return found

    found = asyncio.run(talk())
    assert [found[item] for item in range(SAMPLES)] == expected.exits


def test_stages_are_scaled_each_by_itself_and_see_who_is_left(serving: Serving, single: int) -> None:
    before = {name: set(serving.seen(name, 1)) for name in STAGES}
    serving.deploy(replicas=(3, 2, 1, 1))
    counts = {name: serving.seen(name, replicas) for name, replicas in zip(STAGES, (3, 2, 1, 1), strict=True)}
    assert all(before[name] <= set(counts[name]) for name in STAGES)  # nothing was started anew
    x = images(200, 7).numpy()
    with ThreadPoolExecutor(32) as pool:
        exits = [one.exits[0] for one in pool.map(lambda at: ask(serving.port, x[at : at + 1], "wide"), range(200))]
    assert exits == ask(single, x, "wide").exits
    after = {name: serving.seen(name, len(counts[name])) for name in STAGES}

    def more(name: str, what: int) -> int:
        return sum(one[what] for one in after[name].values()) - sum(one[what] for one in counts[name].values())

    # exits 0, 2 and 5 are behind the first three stages
    reach = [200, *(sum(exit_ > last for exit_ in exits) for last in (0, 2, 5))]
    assert [more(name, 0) for name in STAGES] == reach
    assert reach == sorted(reach, reverse=True)
    assert reach[-1] < 0.5 * reach[0]
    assert more("Stage0", 1) < 200  # requests of one sample each, run together
    assert more("Stage2", 1) < reach[2]
    assert all(samples > 0 for samples, _ in after["Stage0"].values())
    serving.deploy()
    assert [serving.replicas()[name] for name in STAGES] == [1, 1, 1, 1]


def test_the_operating_point_is_switched_on_all_replicas(serving: Serving, single: int) -> None:
    serving.deploy(ingress=2)
    x = images(8, 8).numpy()
    expected = {point: ask(single, x, point) for point in NESTED}
    found, ended = [], threading.Event()

    def keep_asking() -> None:
        while not ended.is_set():
            found.append(ask(serving.port, x))

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for generation, point in enumerate(("hasty", "full", "wide"), 1):
            serving.deploy(ingress=2, point=point, generation=generation)
            time.sleep(1.0)
    finally:
        ended.set()
        for asker in askers:
            asker.join()
    assert {(one.point, one.generation) for one in found} >= {("hasty", 1), ("full", 2), ("wide", 3)}
    assert {(one.point, one.generation) for one in found} <= {("wide", 0), ("hasty", 1), ("full", 2), ("wide", 3)}
    for one in found:
        same(one, expected[one.point])
    last = [ask(serving.port, x) for _ in range(24)]  # of both replicas
    assert {(one.point, one.generation) for one in last} == {("wide", 3)}
    code, told = put(serving.port)
    assert code == 401
    assert "user_config" in told["error"]
    serving.deploy()


def put(port: int) -> tuple[int, Any]:
    from tests.serve.process import Running

    return Running(None, port).ask("/v2/models/toy/active", b'{"operating_point": "full"}', "PUT")  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", ["Stage0", "Stage1"])
def test_a_killed_replica_costs_no_reply(serving: Serving, single: int, stage: str) -> None:
    serving.deploy(replicas=(2, 2, 1, 1))
    victims = list(serving.seen(stage, 2))
    requests: Sequence[np.ndarray] = [images(4, seed).numpy() for seed in range(12)]
    expected = [ask(single, x, "wide") for x in requests]
    found: list[tuple[int, Said]] = []
    ended = threading.Event()

    def keep_asking(start: int) -> None:
        at = start
        while not ended.is_set():
            found.append((at % 12, ask(serving.port, requests[at % 12], "wide")))
            at += 1

    with ThreadPoolExecutor(8) as pool:
        askers = [pool.submit(keep_asking, start) for start in range(8)]
        try:
            until(lambda: len(found) >= 8)
            for victim in victims:  # one, and before there is another one the second: for a while nobody has the stage
                os.kill(victim, signal.SIGKILL)
                time.sleep(1.5)
            killed = len(found)
            until(lambda: len(found) >= killed + 24)  # more than were under way
        finally:
            ended.set()
        for asker in askers:
            asker.result()  # a request that was refused or not answered raises
    for at, one in found:
        same(one, expected[at])
    until(lambda: serving.replicas()[stage] == 2)
    assert not set(serving.seen(stage, 2)) & set(victims)
    serving.deploy()


def test_the_command_line_serves_until_a_signal_comes(serving: Serving, single: int, folder: Path) -> None:
    from ray import serve

    serve.delete("toy")
    command = [sys.executable, "-m", "offramp", "serve", str(folder), "--ray", "--replicas", "2,1,1,1"]
    process = subprocess.Popen([*command, "--port", str(serving.port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"serving toy at http://127.0.0.1:{serving.port}\n"
        assert [serving.replicas()[name] for name in STAGES] == [2, 1, 1, 1]
        x = images(8, 9).numpy()
        same(ask(serving.port, x, "wide"), ask(single, x, "wide"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert "toy" not in serve.status().applications
