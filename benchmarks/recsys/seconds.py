"""How long a DLRM with exits takes, beside the uncut one on the same back end."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Int

import offramp
from offramp import deployed
from offramp.benching import bench
from offramp.exporting import export
from offramp.load.models import LoadedModel
from offramp.run.timing import interleaved

ALONE, CALLS = 50, 40
"""Rounds, and requests of one row in each, where a stage is timed alone."""

KEPT = ("backend", "batch", "point", "ms", "ratio_to_uncut", "ideal_ratio", "noise", "p50", "p95", "p99")
"""What is kept of a row."""


def timed(model: LoadedModel, net: str, seed: int, config: dict[str, Any], work: Path) -> dict[str, Any]:
    """The grid of back ends, batch sizes and operating points on one thread, and what a request of one row is made of.

    `load` is the machine's load average before and after: other work on it disturbs absolute times more than shares.
    """
    before = os.getloadavg()[0]
    bundle = offramp.Bundle.load(work / f"exits_{net}{seed}").attach(model.model)
    test = offramp.open_source(work / f"test{seed}.libfm", model.preprocess)
    rows = bench(
        bundle, test, config["backends"], config["batch_sizes"], config["timed_points"], rounds=config["rounds"]
    )
    ids = test.inputs(np.arange(ALONE * CALLS))
    with tempfile.TemporaryDirectory() as folder:
        export(bundle, Path(folder) / "stages", ["balanced"])
        parts = one_row(Path(folder) / "stages", np.asarray(ids))
    return {
        "seed": seed,
        "load": [before, os.getloadavg()[0]],
        "rows": [{key: value for key, value in asdict(row).items() if key in KEPT} for row in rows],
        "one_row": parts,
    }


def one_row(stages: Path, ids: Int[np.ndarray, "rows fields"]) -> dict[str, float]:
    """Microseconds for one row on ONNX Runtime: `bare`, the first stage called by itself, `uncut`, the whole model
    likewise, and `exits`, the model at its point; rows that go on behind the first stage are in the last two alone.
    """
    model = deployed.load(stages, threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    first = next(path for path in sorted(stages.glob("*-0.onnx")) if not path.name.startswith("uncut"))
    sessions = {
        name: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for name, path in (("bare", first), ("uncut", stages / "uncut-0.onnx"))
    }
    contestants = {name: _alone(session) for name, session in sessions.items()} | {"exits": model}
    rounds: Sequence[Sequence[Any]] = [list(part[:, None]) for part in ids.reshape(ALONE, CALLS, -1)]
    timing = interleaved(contestants, rounds)
    return {name: 1e6 * float(np.median(timing.seconds(name))) / CALLS for name in contestants}


def _alone(session: onnxruntime.InferenceSession) -> Any:
    (given,) = (one.name for one in session.get_inputs())
    return lambda ids: session.run(None, {given: ids})
