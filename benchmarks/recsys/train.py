"""Trains a DLRM for Frappe, a factorization machine and logistic regression beside it, over seeds.

    python -m benchmarks.recsys.train benchmarks/recsys/config.json

A seed decides how rows are divided, too, so what a network with weights `dlrm0.safetensors` may be given without having
seen it is in `stream0.libfm` (no labels) and `test0.libfm`. The data is looked for in $OFFRAMP_DATA or ../shared/data.
"""

import argparse
import json
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.fronts import spread
from benchmarks.kept import kept
from benchmarks.recsys.frappe import SIZES, dlrm, parts, rows_of, write
from benchmarks.recsys.learning import Course, FactorizationMachine, figures, learn
from offramp.machine import machine
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.ctr import Ctr

FACTORS = 64
"""Of the factorization machine."""

TIMED, REPEATS = (1, 32, 512), 100
"""Batch sizes whose time is measured, and how often."""


def trained(seed: int, config: dict[str, Any], source: Path, work: Path) -> dict[str, Any]:
    """Trains the models of one seed, writes the DLRM's weights and rows for its exits; returns figures on test rows."""
    rows, lines = rows_of(source)
    where = parts(len(rows), config["rows"], seed)
    train, held, test = (rows.at(where[name]) for name in ("train", "held", "test"))
    models = {
        "dlrm": dlrm(seed),
        "machine": FactorizationMachine(SIZES, FACTORS, seed),
        "logistic": FactorizationMachine(SIZES, 0, seed),
    }
    result: dict[str, Any] = {"seed": seed}
    for name, model in models.items():
        steps = learn(model, train, held, Course(**config[name]), seed)
        result[name] = {"steps": steps} | figures(model, test)
    save_file(models["dlrm"].state_dict(), work / f"dlrm{seed}.safetensors")
    write(source, lines[where["stream"]], work / f"stream{seed}.libfm", labels=False)
    write(source, lines[where["test"]], work / f"test{seed}.libfm")
    return result


def cost(model: nn.Module, ids: torch.Tensor) -> dict[str, Any]:
    """MACs, the exit points with their share of them, and microseconds of a batch on one thread."""
    backbone = analyse(model, ids[:2], reader(Ctr()))
    times = {}
    with torch.inference_mode():
        for size in TIMED:
            seconds = []
            for _ in range(REPEATS + 10):
                start = time.perf_counter()
                model(ids[:size])
                seconds.append(time.perf_counter() - start)
            times[str(size)] = 1e6 * statistics.median(seconds[10:])
    points = {point.name: point.depth for point in backbone.points}
    return {"macs": backbone.macs, "points": points, "microseconds": times}


def main() -> None:
    """Trains what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/recsys"))
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    source = Path(os.environ.get("OFFRAMP_DATA", "../shared/data")) / config["data"]
    wishes.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    runs = []
    for seed in config["seeds"]:
        runs.append(kept(wishes.work / f"trained{seed}.json", partial(trained, seed, config, source, wishes.work)))
        print(runs[-1], flush=True)
    names = [name for name in runs[0] if name != "seed"]
    summary = {name: {key: spread([float(run[name][key]) for run in runs]) for key in runs[0][name]} for name in names}
    ids = rows_of(source)[0].ids
    result = {
        "config": config,
        "machine": machine(),
        "summary": summary,
        "cost": cost(dlrm().eval(), ids),
        "runs": runs,
    }
    (wishes.work / "trained.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("summary", "cost")}, indent=1))


if __name__ == "__main__":
    main()
