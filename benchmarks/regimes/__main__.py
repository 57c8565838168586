"""Disjoint, joint and mixed training from scratch, over sizes of the training part and seeds.

    python -m benchmarks.regimes benchmarks/regimes/config.json

What is done is kept, also within a training, so an interrupted run goes on. The data is looked for in $OFFRAMP_DATA or
../shared/data.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.regimes.cells import trained
from benchmarks.regimes.figure import draw
from benchmarks.regimes.page import page
from offramp.machine import machine


def everything(config: Mapping[str, Any], root: Path, work: Path, threads: int, jobs: int) -> Iterator[dict[str, Any]]:
    """All regimes with all seeds and sizes, so many at a time."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for found in pool.map(partial(trained, config, root, work, threads), product(config["seeds"], config["sizes"])):
            yield from found


def main() -> None:
    """Runs what is missing, and writes result, page and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/regimes"))
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, each with a seed and a size")
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)  # of this process only for what `machine` says
    config, began = json.loads(wishes.config.read_text()), time.perf_counter()
    root = Path(os.environ.get("OFFRAMP_DATA", "../shared/data"))
    runs = list(everything(config, root, wishes.work, wishes.threads, wishes.jobs))
    result = {"config": config, "machine": {**machine(), "processes": wishes.jobs}, "runs": runs}
    (wishes.out / "results").mkdir(parents=True, exist_ok=True)
    (wishes.out / "results" / "regimes.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(result, wishes.out / "results" / "regimes.png")
    (wishes.out / "regimes.md").write_text(page(result, wishes.config))
    minutes = (time.perf_counter() - began) / 60
    print(f"{wishes.out / 'regimes.md'} after {minutes:.0f} minutes, rows that were there already left out")


if __name__ == "__main__":
    main()
