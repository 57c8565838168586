"""The page as a parser and a browser see it."""

import dataclasses
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from offramp.benching import Timing
from offramp.errors import InputError
from offramp.findings import Findings, find
from offramp.load.sources import open_source
from offramp.report import sections
from offramp.report.few import few
from offramp.report.page.page import page
from offramp.report.summary import summary
from offramp.report.writing import class_names, written
from tests.builds import bundle, images
from tests.cli.world import full_disk

HOSTILE = '<script>alert("x")</script> & "quoted"'


@pytest.fixture(scope="module")
def found() -> Findings:
    x = images(150, 4)
    labels = bundle().use("full")(x).output.argmax(1)
    return find(bundle(), open_source((x, np.where(np.arange(150) % 10, labels, (labels + 1) % 4))), timing=None)


class Seen(HTMLParser):
    """Tags, what they refer to, and how they are nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_fetches_nothing_and_all_its_links_lead_somewhere(found: Findings) -> None:
    text = page(found)
    seen = Seen(text)
    assert not {"script", "link", "iframe", "form"} & set(seen.tags)
    assert all(one.startswith(("data:image/", "#")) for one in seen.refers)
    assert {one[1:] for one in seen.refers if one.startswith("#")} <= set(seen.ids)
    assert len(text) < 5_000_000
    assert text.lstrip().startswith("<!DOCTYPE html>")


def test_what_comes_from_the_user_is_escaped(found: Findings) -> None:
    hostile = dataclasses.replace(found, items=dict.fromkeys(found.items, HOSTILE), source=HOSTILE)
    text = page(hostile, names=[HOSTILE] * 4, title=HOSTILE)
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") > 10
    Seen(text)


def test_it_says_what_was_measured(found: Findings) -> None:
    text = page(found)
    point = found.shown
    assert f"{100 * point.cost_ratio:.1f} % of the plain model&#39;s MACs" in text
    for name in found.exits:
        assert name in text
    for one in found.evaluation.points:
        assert f">{one.name}<" in text
    assert "<h2>Time and memory</h2>" not in text  # nothing was timed


def test_the_tables_have_the_figures_of_the_evaluation(found: Findings) -> None:
    rows = sections.points(found, whole=True)
    assert [row[0] for row in rows.body] == [point.name for point in found.evaluation.points]
    assert rows.marked is not None
    assert rows.body[rows.marked][0] == found.chosen.name
    cost, accuracy = rows.head.index("MACs, %"), rows.head.index("accuracy, %")
    for row, point in zip(rows.body, found.evaluation.points, strict=True):
        assert point.accuracy is not None
        assert (row[cost], row[accuracy]) == (f"{100 * point.cost_ratio:.1f}", f"{100 * point.accuracy:.2f}")
    exits = sections.exits(found)
    shares = [row[-1] for row in exits.body]
    assert sum(float(share.split()[0]) for share in shares if share != "off") == pytest.approx(100, abs=0.3)


def test_times_and_memory_are_shown_where_they_were_measured() -> None:
    timing = Timing(batch_sizes=(1, 1000), rounds=4)
    timed = find(bundle(), open_source(images(60, 4)), timing=timing, count=1)
    assert {row.batch for row in timed.speed} == {1}  # there are no thousand samples
    assert "<h2>Time and memory</h2>" in page(timed)
    assert "## Time" in summary(timed)
    assert re.search(r"Measured time, .* at batch 1 on eager\.", sections.verdict(timed))


def test_the_summary_is_a_table_that_markdown_knows(found: Findings) -> None:
    lines = [line for line in summary(found).splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines[:3]} == {len(sections.points(found).head) + 1}


def test_of_many_points_some_are_shown(found: Findings) -> None:
    one = found.evaluation.points[1]
    many = [dataclasses.replace(one, name=f"cost{k}", cost_ratio=1 - k / 100) for k in range(80)]
    many[33] = dataclasses.replace(many[33], name="balanced")
    shown = few(many, 9, ["cost50"])
    assert len(shown) == 9
    assert {"cost0", "balanced", "cost50", "cost79"} <= {point.name for point in shown}
    cost = [point.cost_ratio for point in shown]
    assert cost == sorted(cost, reverse=True)
    assert max(-np.diff(cost)) < 0.2
    assert few(many[:5], 9) == many[:5]


def test_all_files_are_written_or_none(found: Findings, tmp_path: Path) -> None:
    files = list(written(found, tmp_path / "a" / "r.html", figures=tmp_path / "f", markdown=tmp_path / "s.md"))
    assert all(file.stat().st_size > 0 for file in files)
    assert {file.suffix for file in files} == {".html", ".md", ".png", ".pdf"}
    with full_disk(1000), pytest.raises(InputError, match="cannot write"):
        list(written(found, tmp_path / "full.html"))
    assert not list(tmp_path.glob("full*"))


def test_names_of_classes_are_lines(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("cat\n\ndög\n\n", encoding="utf-8")
    assert class_names(file) == ["cat", "", "dög"]
    file.write_text("\n")
    with pytest.raises(InputError, match="one a line"):
        class_names(file)
    with pytest.raises(InputError, match="one a line"):
        class_names(tmp_path / "none.txt")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [390, 1180])
def test_a_browser_without_a_network_shows_all_of_it(
    found: Findings, browser: object, tmp_path: Path, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(found), encoding="utf-8")
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})  # type: ignore[attr-defined]
    seen, errors = context.new_page(), []
    seen.on("console", lambda message: errors.append(message.text))
    seen.on("pageerror", lambda error: errors.append(str(error)))
    seen.goto(file.as_uri())
    assert errors == []
    assert seen.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
    assert seen.evaluate("document.documentElement.scrollWidth <= innerWidth")  # wide tables scroll by themselves
    context.close()
