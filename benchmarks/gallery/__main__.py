"""The reports of the gallery and their pictures: `offramp report`, then a headless Chromium without a network.

    python -m benchmarks.gallery benchmarks/gallery/config.json

The bundle of ResNet-56 is built if it is not there; those of SST-2 and Frappe are of `python -m benchmarks.texts` and
`python -m benchmarks.recsys.front`. Chromium is that on the path.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, sync_playwright

from benchmarks.torchvision_shim import install

MOST = 5_000_000
"""Bytes that a page may have."""


def main() -> None:
    """Writes pages and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", nargs="*", help="Names of reports; default: all.")
    parser.add_argument("--out", type=Path, default=Path("docs/reports"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    root = os.environ.get("OFFRAMP_DATA", "../shared/data")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, wish in config["reports"].items():
            if given.only and name not in given.only:
                continue
            page = given.out / f"{name}.html"
            _report(wish, [*config["flags"], "--title", wish["title"], "--out", str(page)], root)
            size = page.stat().st_size
            if size > MOST:
                raise SystemExit(f"expected at most {MOST} bytes, {page} has {size}")
            for picture in look(browser, page, given.pictures / f"report_{name}", config):
                print(f"{page}: {size / 1e6:.2f} MB, {picture}", flush=True)
        browser.close()


def _report(wish: Mapping[str, Any], flags: Sequence[str], root: str) -> None:
    bundle = Path(wish["report"][0])
    if not (bundle / "manifest.json").exists():
        if isinstance(wish["made"], str):
            raise SystemExit(f"expected a bundle in {bundle}; run {wish['made']}")
        _offramp([part.format(data=root) for part in wish["made"]])
    _offramp(["report", *(part.format(data=root) for part in wish["report"]), *flags])


def _offramp(arguments: Sequence[str]) -> None:
    from offramp.cli.app import main as offramp  # not above: the shim comes first

    install()
    code = offramp(arguments)
    if code:
        raise SystemExit(code)


def look(browser: Browser, page: Path, stem: Path, config: Mapping[str, Any]) -> list[Path]:
    """The first screen in light and dark, what leaves where, and the exits, of a page that may fetch nothing.

    Raises:
        SystemExit: if a picture of the page is broken, or the page complains or asks for anything.
    """
    context = browser.new_context(offline=True, viewport={"width": config["width"], "height": config["height"]})
    seen = context.new_page()
    wrong: list[str] = []
    seen.on("console", lambda message: wrong.append(message.text))
    seen.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else wrong.append(asked.url))
    seen.goto(page.resolve().as_uri())
    if wrong or not seen.evaluate("[...document.images].every(one => one.naturalWidth > 0)"):
        raise SystemExit(f"expected a page that is whole without a network, {page} says {wrong or 'a broken picture'}")
    made = []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        seen.emulate_media(color_scheme=scheme)
        made.append(stem.with_name(f"{stem.name}{'' if scheme == 'light' else '_dark'}.png"))
        seen.screenshot(path=made[-1])
    seen.emulate_media(color_scheme="light")
    for part in ("leaving", "exits"):
        box = seen.locator(f"#{part}").bounding_box()
        assert box is not None
        box["height"] = min(box["height"], 1.4 * config["height"])
        made.append(stem.with_name(f"{stem.name}_{part}.png"))
        seen.screenshot(path=made[-1], full_page=True, clip=box)
    context.close()
    return made


if __name__ == "__main__":
    main()
