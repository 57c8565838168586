"""The page of a real server in a real Chromium, which may ask nobody else."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.builds import bundle, images
from tests.serve.process import Running, body, running

sync = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser; it is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

CONTRAST = Path(__file__).with_name("contrast.js").read_text()


class Seen:
    """A page, and what it did."""

    def __init__(self, page: Any, port: int) -> None:
        self.page, self.errors, self.elsewhere = page, list[str](), list[str]()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.route("**/*", lambda route: self._only(route, port))
        page.set_default_timeout(10_000)
        page.goto(f"http://127.0.0.1:{port}/")
        self.until("#state", "live")

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _only(self, route: Any, port: int) -> None:
        if urlsplit(route.request.url).netloc == f"127.0.0.1:{port}" or route.request.url.startswith("data:"):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()

    def until(self, selector: str, text: str) -> None:
        sync.expect(self.page.locator(selector)).to_contain_text(text, timeout=10_000)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    @property
    def slider(self) -> str:
        """The point that the slider is put to."""
        return str(self.page.get_attribute("#point", "aria-valuetext")).split(",")[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_(browser: Any) -> Iterator[Callable[..., Seen]]:
    contexts: list[Any] = []

    def opened(port: int, **how: Any) -> Seen:
        contexts.append(browser.new_context(reduced_motion="reduce", **how))
        return Seen(contexts[-1].new_page(), port)

    yield opened
    for context in contexts:
        context.close()


@contextmanager
def asked(server: Running, **wish: Any) -> Iterator[None]:
    """Requests without a break."""
    over = threading.Event()
    request = body(images(8, 5).numpy(), parameters=wish)

    def send() -> None:
        while not over.wait(0.02):
            server.ask("/v2/models/toy/infer", request)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def eventually(check: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for what must come true; figures are of the last ten seconds."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.1)


def active(server: Running) -> str:
    return str(server.ask("/v2/models/toy/points", how="GET")[1]["active"])


def switch(server: Running, name: str) -> None:
    wish = json.dumps({"operating_point": name}).encode()
    assert server.ask("/v2/models/toy/active", wish, "PUT", Authorization="Bearer secret")[0] == 200


def test_it_loads_alone_and_without_an_error(server: Running, open_: Callable[..., Seen]) -> None:
    switch(server, "balanced")
    seen = open_(server.port)
    assert seen.text("h1") == "toy"
    assert seen.text("#state") == f"live at {active(server)}"
    assert len(seen.page.locator("#tiles div").all()) == 6
    eventually(lambda: seen.page.locator("#flow path.idle").count() == 1)  # nothing is asked
    time.sleep(1.2)  # one more moment is heard
    assert (seen.errors, seen.elsewhere) == ([], [])


@pytest.mark.slow
def test_it_may_load_from_here_alone(server: Running, open_: Callable[..., Seen]) -> None:
    """The policy in the header, not the good will of the page, keeps others out."""
    seen = open_(server.port)
    seen.page.evaluate("() => fetch('http://localhost:9/').catch(() => 0)")
    assert any("Content Security Policy" in one for one in seen.errors)
    assert seen.elsewhere == []  # refused before anything was sent


@pytest.mark.slow
def test_numbers_shares_and_pictures_follow_what_is_asked(server: Running, open_: Callable[..., Seen]) -> None:
    switch(server, "balanced")
    seen = open_(server.port)
    band = seen.page.get_attribute("#flow path", "d")
    exits = bundle().use("fastest")(images(8, 5)).exit_index.tolist()
    expected = [exits.count(index) / 8 for index in range(len(bundle().manifest.exits) + 1)]
    seen.page.get_by_text("Exits as a table").click()

    def shown() -> bool:
        shares = [row.split("\t")[2] for row in seen.text("#exit-rows").splitlines()]
        if not all(one.endswith("%") for one in shares):
            return False  # nothing was asked in the last ten seconds
        return [float(one.split()[0]) / 100 for one in shares] == pytest.approx(expected, abs=0.002)

    answered = "#tiles div:last-child dd"
    before = int(seen.text(answered).replace("\u2009", ""))
    with asked(server, operating_point="fastest"):
        eventually(shown)
        eventually(lambda: int(seen.text(answered).replace("\u2009", "")) > before)
        rate, median = (seen.text(f"#tiles div:nth-child({at}) dd") for at in (1, 2))
        assert float(rate) > 0
        assert median.endswith("ms")
        assert seen.page.get_attribute("#flow path.trunk", "d") != band
        assert "M" in str(seen.page.get_attribute("#latency path.median", "d"))
    assert seen.errors == []


@pytest.mark.parametrize("keyboard", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_slider_switches_with_the_right_token(server: Running, open_: Callable[..., Seen], keyboard: bool) -> None:
    switch(server, "full")
    seen = open_(server.port)
    assert seen.slider == "full"
    seen.page.fill("#token", "secret")
    slider = seen.page.locator("#point")
    if keyboard:
        slider.focus()
        seen.page.keyboard.press("Home")
    else:
        box = slider.bounding_box()
        assert box is not None
        seen.page.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    cheapest = [*server.ask("/v2/models/toy/points", how="GET")[1]["points"]][-1]["name"]
    assert (seen.slider, active(server)) == (cheapest, "full")  # nothing happens before it is confirmed
    time.sleep(1.2)
    assert seen.slider == cheapest  # what is heard meanwhile does not move it
    seen.page.keyboard.press("Enter") if keyboard else seen.page.click("#switch")
    seen.until("#said", f"Switched to {cheapest}")
    assert active(server) == cheapest
    seen.until("#state", f"live at {cheapest}")
    assert seen.page.get_attribute("#front .dot.active", "data-point") == cheapest
    assert seen.errors == []


@pytest.mark.slow
def test_a_wrong_token_is_told_and_the_slider_goes_back(server: Running, open_: Callable[..., Seen]) -> None:
    switch(server, "full")
    seen = open_(server.port)
    seen.page.locator("#point").focus()
    for token, told in (("", "enter the admin token"), ("wrong", "token is wrong"), ("clé", "letters")):
        seen.page.fill("#token", token)
        seen.page.locator("#point").focus()
        seen.page.keyboard.press("Home")
        assert seen.slider != "full"
        seen.page.keyboard.press("Enter")
        seen.until("#said[role=alert]", told)
        assert active(server) == "full"
        if token == "wrong":
            assert seen.slider == "full"
    switch(server, "balanced")
    seen.until("#state", f"live at {active(server)}")  # somebody else's switch is followed


@pytest.mark.slow
def test_the_front_is_reached_by_keyboard(server: Running, open_: Callable[..., Seen]) -> None:
    switch(server, "full")
    seen = open_(server.port)
    reachable = seen.page.locator("#front [tabindex='0']")
    assert reachable.count() == 1
    seen.page.locator("#named button").last.focus()
    for _ in range(20):
        seen.page.keyboard.press("Tab")
        if seen.page.evaluate("() => document.activeElement.closest('#front') !== null"):
            break
    focused = "() => document.activeElement.dataset.point"
    assert seen.page.evaluate(focused) == "full"
    seen.page.keyboard.press("ArrowLeft")
    there = seen.page.evaluate(focused)
    assert there != "full"
    seen.page.keyboard.press("Enter")
    assert seen.slider == there
    time.sleep(1.2)
    assert seen.page.evaluate(focused) == there  # what is heard does not take the focus away


@pytest.mark.slow
def test_an_alarm_and_a_server_that_goes_and_comes_back(folder: Path, open_: Callable[..., Seen]) -> None:
    x = images(2000, 9)
    wrong = bundle().use("fastest")(x).output.argmax(1) != bundle().use("full")(x).output.argmax(1)
    point = bundle().point("fastest")
    assert point.bound is not None
    with running(folder, "--audit-share", "1", "--point", "fastest") as server:
        seen, port = open_(server.port), server.port
        assert "No early answer has been compared" in seen.text("#verdict")
        assert seen.page.locator("#token").is_disabled()
        assert "switching over the network is off" in seen.text("#hint").lower()
        for _ in range(12):
            server.ask("/v2/models/toy/infer", body(x[wrong][:64].numpy()))
        seen.until("#verdict", "Alarm: more disagreement")
        seen.until("#state", "alarm at")
        assert f"at least {100 * (1 - point.bound.epsilon):g}" in seen.text("#facts")
        server.process.send_signal(signal.SIGSTOP)  # the connection stands, and nothing comes
        seen.until("#state", "no connection")
        server.process.send_signal(signal.SIGCONT)
        seen.until("#state", "live at")
        server.process.send_signal(signal.SIGKILL)
        seen.until("#state", "no connection")
        assert "stale" in str(seen.page.get_attribute("body", "class"))
        assert seen.page.locator("#switch").is_disabled()
    with running(folder, "--port", str(port)):
        seen.until("#state", "live at")
        assert "stale" not in str(seen.page.get_attribute("body", "class"))


@pytest.mark.slow
def test_dark_and_light_differ_and_both_can_be_read(server: Running, open_: Callable[..., Seen]) -> None:
    switch(server, "balanced")
    backs = {}
    with asked(server):
        for scheme in ("light", "dark"):
            seen = open_(server.port, color_scheme=scheme)
            seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
            time.sleep(1.2)
            backs[scheme] = seen.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
            found = seen.page.evaluate(CONTRAST)
            assert len(found) > 50
            assert [one for one in found if one["ratio"] < 4.5] == []
    assert backs["light"] != backs["dark"]


@pytest.mark.slow
def test_every_control_has_a_name_and_every_picture_too(server: Running, open_: Callable[..., Seen]) -> None:
    seen = open_(server.port)
    unnamed = """() => [...document.querySelectorAll("input, button, svg, svg [role], [role=region], [role=group]")]
        .filter(one => !one.hidden && !one.ariaLabel && !(one.labels?.length && one.labels[0].innerText.trim()))
        .filter(one => one.tagName !== "BUTTON" || !one.innerText.trim()).map(one => one.outerHTML)"""
    assert seen.page.evaluate(unnamed) == []
    assert seen.page.get_by_role("slider", name="Operating point").count() == 1
    assert seen.page.locator("table th:not([scope])").count() == 0


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_nothing_sticks_out(server: Running, open_: Callable[..., Seen], width: int) -> None:
    with asked(server):
        seen = open_(server.port, viewport={"width": width, "height": 800})
        seen.page.evaluate("() => document.querySelectorAll('details').forEach(one => one.open = true)")
        seen.page.locator("#flow path.trunk").wait_for(state="attached")
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert "whole model" in str(seen.page.text_content("#flow"))
        outside = """() => [...document.querySelectorAll("svg text")].filter(one => {
            const box = one.getBoundingClientRect(), sheet = one.closest("svg").getBoundingClientRect();
            const out = box.left < sheet.left - 1 || box.right > sheet.right + 1 || box.bottom > sheet.bottom + 1;
            return box.width && out;
        }).map(one => one.textContent)"""
        assert seen.page.evaluate(outside) == []
