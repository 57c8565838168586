"""Time against the uncut model: back ends x batch sizes x threads, with imposed and with real exits.

    python -m benchmarks.speed benchmarks/speed/config.json --work build/speed

On a machine with a GPU: `python -m benchmarks.speed benchmarks/speed/cuda.json --work build/speed_cuda`. Every cell
is kept in the work folder, so that an interrupted run goes on; nothing else should run meanwhile.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.speed.cells import Places, cells, groups, measure
from benchmarks.speed.page import page
from offramp.machine import machine
from offramp.report.speed import speed_figure
from offramp.speed import SpeedRow

DOCS = Path("docs")
VERSION = 1


def main() -> None:
    """Runs what is missing, and writes result, page and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/speed"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bundles", type=Path, default=Path("build/cifar_front"))
    parser.add_argument("--only", default="", help="Run cells whose name contains this, and write no page.")
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    places = Places(given.work, given.data, given.bundles)
    wanted = [cell for cell in cells(config) if given.only in cell.name]
    for some in groups(wanted, given.work):
        # in a process of its own, since run-time libraries give back little memory: all models together took 22 GB
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            alone.submit(measure, some, config, places).result()
    rows = [row for cell in wanted for row in json.loads((given.work / f"{cell.name}.json").read_text())["rows"]]
    if not given.only:
        write(rows, config, given.config)


def write(rows: Sequence[dict[str, Any]], config: dict[str, Any], path: Path) -> None:
    """The result, the page and the figures."""
    result = {"version": VERSION, "machine": machine("onnxruntime", "openvino", "nncf", "timm"), "rows": rows}
    name = config["name"]
    (DOCS / "results" / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (DOCS / f"{name}.md").write_text(page(result, config, path))
    for case in (*config["imposed"], *config["real"]):
        here = [SpeedRow(**{k: v for k, v in row.items() if k != "model"}) for row in rows if row["model"] == case]
        one = [row for row in here if str(row.threads) == next(iter(config["threads"])) and row.precision != "int8"]
        speed_figure(one, f"{case}, {one[0].threads} thread", DOCS / "results" / f"{name}_{case}.png")


if __name__ == "__main__":
    main()
