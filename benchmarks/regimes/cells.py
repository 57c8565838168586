"""What is trained and measured for a seed and a size: a module of its own, since processes of a pool import it."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.kept import kept
from benchmarks.regimes.budget import columns, curve, same, table, thinned, thresholds
from benchmarks.regimes.data import parts
from benchmarks.regimes.training import Lab, answers, regime, untrained
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.sources import Source
from offramp.tasks.classification import Classification

LOGITS = reader(Classification())


def cell(config: Mapping[str, Any], size: int, seed: int, row: str, root: Path, work: Path) -> dict[str, Any]:
    """Trains one network and looks at it on the test images."""
    began = time.perf_counter()
    data = parts(config, root, size, seed)
    lab = Lab(config, data["learn"], seed, work / f"{size}-{seed}", partial(told, f"{size}-{seed}-{row}"))
    start, phases = untrained(config, seed), regime(config, config["rows"][row])
    total = sum(phase.length.steps or 0 for phase in phases.phases)
    first = phases.phases[0]
    reference = None
    if len(phases.phases) > 1:
        start = lab.plain(start, phases)
        reference = answers(start, data["test"])[-1]
        phases = phases.done()
    done = lab.train(start, phases, in_files(row))
    macs = done.total.macs
    if reference is not None:
        macs += 3 * start.backbone.macs * config["batch_size"] * (first.length.steps or 0)
    found = measured(done.multi_exit(LOGITS), data, config, reference)
    spent = {"steps": total, "training_macs": macs, "seconds": time.perf_counter() - began}
    return {"row": row, "size": size, "seed": seed, **found, **spent}


def measured(
    multi_exit: MultiExit, data: Mapping[str, Source], config: Mapping[str, Any], reference: Any
) -> dict[str, Any]:
    """Accuracy of every exit and at every budget; whether the last exit is the backbone of phase 1, bit for bit."""
    cost = multi_exit.macs()
    outputs = {part: answers(multi_exit, data[part]) for part in ("choose", "test")}
    tables = {part: table(outputs[part], data[part].labels(), cost, part) for part in outputs}
    test = tables["test"]
    return {
        "images": test.samples,
        "exits": [float(share) for share in 1.0 - test.loss.mean(axis=1)],
        "costs": [float(share) for share in (cost.upto + cost.head.cumsum()) / cost.backbone],
        "backbone": None if reference is None else float((reference.argmax(1) == data["test"].labels()).mean()),
        "last_exit_is_backbone": None if reference is None else same(outputs["test"][-1], reference),
        "columns": columns(tables["choose"], test, config["budgets"]),
        "curve": thinned(curve(test, thresholds(tables["choose"].score))),
    }


def in_files(row: str) -> str:
    """The name of a row in names of files."""
    return row.replace(", ", "-").replace(" ", "-")


def told(row: str, stage: str, done: int, total: int) -> None:
    """Says how far a training is."""
    print(f"{row}: {stage} {done}/{total}", flush=True)


def trained(
    config: Mapping[str, Any], root: Path, work: Path, threads: int, seed_and_size: tuple[int, int]
) -> list[dict[str, Any]]:
    """All regimes with one seed and size, one after another, since they share the plain network."""
    torch.set_num_threads(threads)
    seed, size = seed_and_size
    runs = []
    for row in config["rows"]:
        note = work / f"{size}-{seed}-{in_files(row)}.json"
        runs.append(kept(note, partial(cell, config, size, seed, row, root, work)))
        print(size, seed, row, runs[-1]["columns"], flush=True)
    return runs
