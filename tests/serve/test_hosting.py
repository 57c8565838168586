"""A model that is replaced while it answers, and rolled back."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tritonclient.utils import InferenceServerException

from offramp.errors import BundleError
from offramp.serve.batcher import Batching
from offramp.serve.care import Care, cared
from offramp.serve.controller import Controller
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Wish
from offramp.serve.errors import ConflictError
from offramp.serve.hosting import Versions
from offramp.serve.limits import Limits
from offramp.serve.loading import newest
from tests.builds import bundle, images, make
from tests.serve.asgi import Hosted
from tests.serve.process import NETS, SAMPLES, Running, body, running
from tests.serve.world import Ears, deployment, exits, inputs


@pytest.fixture
def hosted() -> Iterator[tuple[Versions, list[Any]]]:
    """Versions, and what comes next: a deployment, or what loading raises."""
    coming: list[Any] = []

    def load() -> Deployment:
        found = coming.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Deployment)
        return found

    care = Care(control=lambda made: Controller(tuple(made.points), "queue", 5.0))
    with cared(care, Batching(max_batch_size=8)) as begun:
        versions = Versions(begun, deployment(), load)
        yield versions, coming
        versions.close(20.0)


def asked(versions: Versions, point: str | None = None) -> list[int]:
    ears = Ears()
    versions.endpoint.ask(inputs(), Wish(point), ears)
    return exits(ears.finals(40))


def test_a_new_version_answers_from_then_on_and_the_one_before_comes_back(
    hosted: tuple[Versions, list[Any]],
) -> None:
    versions, coming = hosted
    before = asked(versions)
    assert versions.endpoint.active.version == "1"
    coming.append(replace(deployment(), active="full"))
    assert versions.load().active == versions.endpoint.active
    assert (versions.endpoint.active.version, versions.endpoint.active.generation) == ("2", 1)
    assert set(asked(versions)) == {len(bundle().manifest.exits)}
    versions.endpoint.switch("balanced")
    assert versions.roll_back().active.generation == 3, "generations only grow"
    assert versions.endpoint.active.version == "1"
    assert asked(versions) == before
    assert versions.roll_back().active.version == "2", "there and back"
    coming.append(deployment())
    assert versions.load().active.version == "3"
    assert versions.roll_back().active.version == "2", "the first one is gone"


def test_what_cannot_be_used_changes_nothing(hosted: tuple[Versions, list[Any]]) -> None:
    versions, coming = hosted
    with pytest.raises(ConflictError, match="none to go back to"):
        versions.roll_back()

    def failing(_: tuple[bool, ...]) -> Any:
        raise RuntimeError("no memory")

    for wrong, told in (
        (BundleError("cannot read /secret/place"), "the log of the server says why"),
        (ValueError("anything"), "the log of the server says why"),
        (replace(deployment(), executor_for=failing), "the log of the server says why"),
        (replace(deployment(), name="another"), "name of the version before"),
        (replace(deployment(), classes=11), "classes of the version before"),
        (replace(deployment(), arranged=lambda _: "nothing that it takes"), "expected an answer"),
        (_another_backbone(), "another"),
    ):
        coming.append(wrong)
        with pytest.raises(ConflictError, match=told) as raised:
            versions.load()
        assert "secret" not in str(raised.value)
        assert versions.endpoint.active.version == "1"
    assert len(asked(versions)) == 40
    coming.append(deployment())
    assert versions.load().active.version == "2", "numbers are not used up"


def _another_backbone() -> Deployment:
    """The same but that inputs are turned over before they are run."""
    made = deployment()
    return replace(made, arranged=lambda stacked: made.arranged({name: -1.0 * x - 3.0 for name, x in stacked.items()}))


def test_only_one_version_is_loaded_at_a_time(hosted: tuple[Versions, list[Any]]) -> None:
    versions, coming = hosted
    loading, go = threading.Event(), threading.Event()

    def slow(stacked: Any) -> Any:
        loading.set()
        assert go.wait(20)
        return deployment().arranged(stacked)

    coming.append(replace(deployment(), arranged=slow))
    thread = threading.Thread(target=versions.load)
    thread.start()
    assert loading.wait(20)
    with pytest.raises(ConflictError, match="being loaded"):
        versions.load()
    with pytest.raises(ConflictError, match="being loaded"):
        versions.roll_back()
    assert len(asked(versions)) == 40, "meanwhile the old one answers"
    go.set()
    thread.join(20)
    assert versions.endpoint.active.version == "2"


def test_the_highest_number_is_the_newest(tmp_path: Path) -> None:
    for name in ("9", "10", "notes", "9a"):
        (tmp_path / name).mkdir()
    assert newest(tmp_path).name == "10"
    assert newest(tmp_path / "notes").name == "notes"
    assert newest(tmp_path / "missing").name == "missing"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Running, Path]]:
    bundle().save(tmp_path / "toy" / "1")
    (tmp_path / "nets.py").write_text(NETS)
    with running(
        tmp_path, "--admin-token", "secret", "--keep", str(tmp_path / "kept"), "--audit-share", "1.0"
    ) as found:
        yield found, tmp_path


def test_a_real_server_takes_a_refit_under_load_and_goes_back(server: tuple[Running, Path]) -> None:
    """Requests that come all the time are answered by one version or the other, and none is lost."""
    running_, folder = server
    client, request = running_.client, body(images(SAMPLES).numpy())
    admin = {"Authorization": "Bearer secret"}
    with pytest.raises(InferenceServerException, match="right token"):
        client.load_model("toy")
    make(folder / "toy" / "2", seed=3)
    found: list[Any] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            found.append(running_.ask("/v2/models/toy/infer", request, content_type="application/json")[1])

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    client.load_model("toy", headers=admin)
    until = time.monotonic() + 20
    while {one["model_version"] for one in found} != {"1", "2"}:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert client.is_model_ready("toy", "2")
    assert not client.is_model_ready("toy", "1")
    assert client.get_model_metadata("toy")["versions"] == ["2"]
    status, told = running_.ask("/v2/models/toy/rollback", b"", Authorization="Bearer secret")
    assert (status, told["version"]) == (200, "1")
    stop.set()
    for thread in threads:
        thread.join(20)
    versions = [one["model_version"] for one in found]
    generations = [one["parameters"]["generation"] for one in found]
    assert {"1", "2"} == set(versions)
    assert {(version, generation) for version, generation in zip(versions, generations, strict=True)} <= {
        ("1", 0),
        ("2", 1),
        ("1", 2),
    }
    (folder / "toy" / "3").mkdir()
    with pytest.raises(InferenceServerException, match="the log of the server says why"):
        client.load_model("toy", headers=admin)
    assert client.is_model_ready("toy", "1")
    assert list((folder / "kept").iterdir()), "and what audits drew is kept"


def test_a_host_of_one_version_takes_no_other() -> None:
    async def go() -> None:
        one = Hosted(limits=Limits(admin_token="secret"))
        status, _, body = await one.ask("/v2/repository/models/toy/load", Authorization="Bearer secret")
        assert status == 404
        assert "one version" in json.loads(body)["error"]
        one.close()

    asyncio.run(go())
