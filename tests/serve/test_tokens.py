"""With a token, everything but health needs it: as a bearer token, or as a password, which browsers can ask for."""

import asyncio
import base64
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from offramp.serve.limits import Limits
from tests.builds import images
from tests.serve.asgi import INFER, SOCKET, Hosted
from tests.serve.process import Running, body, running

TOKEN = "ünd so"
BODY = body(images(1, 5).numpy())

OPEN = [("GET", "/v2/health/live"), ("GET", "/v2/health/ready"), ("GET", "/v2/models/toy/ready")]
CLOSED = [
    ("GET", "/v2"),
    ("GET", "/v2/models/toy"),
    ("GET", "/v2/models/toy/versions/1"),
    ("GET", "/v2/models/toy/config"),
    ("GET", "/v2/models/toy/stats"),
    ("GET", "/v2/models/toy/points"),
    ("POST", "/v2/repository/index"),
    ("POST", INFER),
    ("POST", "/v2/models/toy/infer_stream"),
    ("GET", "/metrics"),
    ("GET", "/"),
]


@pytest.fixture(scope="module")
def host() -> Iterator[Hosted]:
    made = Hosted(limits=Limits(token=TOKEN, admin_token="other"))
    yield made
    made.close()


def asked(made: Hosted, how: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return asyncio.run(made.ask(path, BODY if how == "POST" else b"", how, **headers))


def bearer(token: str) -> str:
    return "Bearer " + token.encode().decode("latin-1")


def basic(password: str, user: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(("how", "path"), OPEN)
def test_health_needs_none(host: Hosted, how: str, path: str) -> None:
    assert asked(host, how, path)[0] == 200


@pytest.mark.parametrize(("how", "path"), CLOSED)
def test_all_else_needs_it(host: Hosted, how: str, path: str) -> None:
    for wrong in ({}, {"authorization": bearer("x")}, {"authorization": "Basic ?"}, {"authorization": basic("x")}):
        status, headers, told = asked(host, how, path, **wrong)
        assert (status, told.startswith(b'{"error"')) == (401, True)
        assert headers["www-authenticate"].startswith("Basic" if path == "/" else "Bearer")
    for right in (bearer(TOKEN), basic(TOKEN), basic(TOKEN, "")):
        assert asked(host, how, path, authorization=right)[0] == 200
    assert asked(host, how, path, authorization=bearer("other"))[0] == 401
    assert asked(host, how, path, authorization=f"Digest {TOKEN.encode().decode('latin-1')}")[0] == 401


def test_a_page_of_another_site_cannot_use_what_the_browser_remembers(host: Hosted) -> None:
    given = {"authorization": basic(TOKEN), "host": "here:8000"}
    assert asked(host, "POST", INFER, **given, origin="http://here:8000")[0] == 200
    assert asked(host, "POST", INFER, **given, origin="http://there")[0] == 401


def test_switching_needs_its_own(host: Hosted) -> None:
    def switched(given: str) -> int:
        path = "/v2/models/toy/active"
        return asyncio.run(host.ask(path, b'{"operating_point": "full"}', "PUT", authorization=given))[0]

    assert [switched(one) for one in (bearer(TOKEN), bearer("other"))] == [401, 200]


def test_without_a_token_nothing_needs_one() -> None:
    made = Hosted()
    try:
        assert {asked(made, how, path)[0] for how, path in OPEN + CLOSED} == {200}
    finally:
        made.close()


@pytest.fixture(scope="module")
def process(folder: object) -> Iterator[Running]:
    with running(folder, "--token", "word") as found:  # type: ignore[arg-type]
        yield found


def test_a_process_keeps_its_streams_and_sockets_to_those_with_the_token(process: Running) -> None:
    assert process.ask("/live", how="GET")[0] == 401
    assert process.ask("/metrics", how="GET")[0] == 401
    assert process.ask("/v2/health/ready", how="GET")[0] == 200
    assert process.client.is_server_ready()

    async def talk(**headers: str) -> str:
        url = f"ws://127.0.0.1:{process.port}{SOCKET}"
        async with connect(url, additional_headers=headers) as channel:
            await channel.send(BODY.decode())
            return str(await asyncio.wait_for(channel.recv(), 20))

    assert '"final": true' in asyncio.run(talk(Authorization="Bearer word"))
    assert '"final": true' in asyncio.run(talk(Authorization=basic("word")))
    with pytest.raises(InvalidStatus):
        asyncio.run(talk())
