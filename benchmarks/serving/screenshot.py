"""The picture of the server's page in the docs: a bundle is served, images are sent, a headless Chromium looks at it.

    python -m benchmarks.serving.screenshot build/cifar_front/b0

The bundle is one of `python -m benchmarks.cifar_front benchmarks/cifar_front/config.json`, Chromium that on the path.
"""

import argparse
import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.cifar_resnet import PREPROCESS
from benchmarks.server import served
from offramp.bundle import Bundle

MODEL = "benchmarks/cifar_resnet.py:resnet56"
WEIGHTS, IMAGES = "weights_cifar10/resnet56-4bfd9763.th", "cifar10/cifar10_test_dev.npz"
NAME = "resnet56-cifar10"
POINTS = (None, None, None, None, "fastest", "fast", "full")
"""What requests ask for, drawn with equal probability; None: the active point."""


def main() -> None:
    """Writes the picture in light and in dark colours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--seconds", type=float, default=90.0, help="Seconds of traffic before the picture.")
    parser.add_argument("--rate", type=float, default=12.0, help="Requests in a second, of one to eight images.")
    parser.add_argument("--width", type=int, default=1180)
    parser.add_argument("--height", type=int, default=700)
    given = parser.parse_args()
    options = [str(given.bundle), MODEL, "--weights", str(given.data / WEIGHTS), "--name", NAME, "--audit-share", "0.1"]
    with (
        served(*options, admin_token="for-the-picture") as (_, port),
        traffic(port, sent(given), given.rate),
    ):
        for scheme, path in look(f"http://127.0.0.1:{port}/", given).items():
            print(f"{path}: {scheme}, {path.stat().st_size / 1000:.0f} kB")


@contextmanager
def traffic(port: int, x: np.ndarray, rate: float) -> Iterator[None]:
    """Requests of one to eight images each, at random moments, while the block runs."""
    over = threading.Event()

    def send(seed: int) -> None:
        rng, to = np.random.default_rng(seed), http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not over.wait(rng.exponential(2 / rate)):
            some = x[rng.integers(len(x), size=rng.integers(1, 9))]
            body, headers = request(some, POINTS[rng.integers(len(POINTS))])
            to.request("POST", f"/v2/models/{NAME}/infer", body, headers)
            with to.getresponse() as reply:
                if reply.status != 200:
                    raise RuntimeError(reply.read().decode())
                reply.read()
        to.close()

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(2)]
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        over.set()
        for sender in senders:
            sender.join()


def sent(given: Any) -> np.ndarray:
    """The images of the part that trained, chose and certified nothing, as the model takes them."""
    with np.load(given.data / IMAGES) as found:
        x = found["x"][Bundle.load(given.bundle).splits["report"]]
    x = (x / 255.0 - PREPROCESS["mean"]) / PREPROCESS["std"]
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32)


def request(x: np.ndarray, point: str | None) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an infer request with binary tensors."""
    entry = {"name": "input0", "shape": x.shape, "datatype": "FP32", "parameters": {"binary_data_size": x.nbytes}}
    wish = {} if point is None else {"operating_point": point}
    head = json.dumps({"inputs": [entry], "parameters": wish}).encode()
    return head + x.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def look(url: str, given: Any) -> dict[str, Path]:
    """A picture of the whole page in each colour scheme."""
    paths = {"light": given.out / "serve_page.png", "dark": given.out / "serve_page_dark.png"}
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": given.width, "height": given.height}, reduced_motion="reduce")
        page.goto(url)
        time.sleep(given.seconds)
        for scheme, path in paths.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=path, full_page=True)
        browser.close()
    return paths


if __name__ == "__main__":
    main()
