"""The site is built strictly, is complete, and asks nothing of anybody else."""

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer

import offramp
from offramp.cli.commands import app
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches without being asked to."""


class Loads(HTMLParser):
    """Addresses that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("material") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("what builds the site is not installed: pip install 'offramp[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found
        for address in loads.found:
            assert not re.match(r"(\w+:)?//", address), f"{page}: {address}"
            if not address.startswith("data:") and page.name != "404.html":
                assert (page.parent / address.partition("?")[0].partition("#")[0]).exists(), f"{page}: {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import) *[\"']?(https?:)?//", sheet.read_text()), sheet


def test_the_reference_has_every_public_name_and_every_option(site: Path) -> None:
    names = (site / "reference/python.html").read_text()
    missing = [name for name in offramp.__all__ if not re.search(rf'id="offramp\.(\w+\.)*{name}"', names)]
    assert not missing
    shown = (site / "reference/commands.html").read_text()
    waiting = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += below.values()
        for one in () if below else command.params:
            assert one.opts[-1].upper() in shown.upper(), f"{command.name} {one.opts[-1]}"


def test_arguments_and_errors_are_told_as_tables(site: Path) -> None:
    names = (site / "reference/python.html").read_text()
    for heading in ("Parameters:", "Raises:", "Attributes:"):
        assert f"{heading}</span>" in names
    assert "&gt;&gt;&gt;" in names
    assert 'class="language-pycon highlight"' in names


def test_no_page_of_the_docs_is_left_out(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
def test_the_search_works_in_a_folder_and_nobody_else_is_asked(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    asked, wrong = [], []
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((site / "how-to/serve.html").as_uri())
        page.click(".md-search__input")
        page.keyboard.type("certificate")
        page.wait_for_selector(".md-search-result__item")
        found = page.inner_text(".md-search-result")
        browser.close()
    assert "Choose what a certificate promises" in found
    assert not wrong
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
def test_no_page_is_wider_than_a_phone(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    wide = {}
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        for one in sorted(site.rglob("*.html")):
            page.goto(one.as_uri())
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                wide[one.name] = over
        browser.close()
    assert not wide
