"""Times offramp's back ends against earlyon on one bundle of ResNet-56 on CIFAR-10, and writes a page of the docs.

    pip install --no-deps earlyon==0.3.0 fvcore iopath yacs portalocker tabulate termcolor tqdm pyyaml
    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.earlyon benchmarks/earlyon/config.json

earlyon (MIT, https://github.com/sohams25/earlyon) is needed for this benchmark only; --no-deps keeps the torch that is
there. Without it nothing is done. The bundle is one of benchmarks.cifar_front and is built as there if it is absent.
The data is looked for in $OFFRAMP_DATA or ../shared/data. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import offramp
from benchmarks.cifar_front.__main__ import built
from benchmarks.earlyon.contestants import BATCHED, Contestant, ours, plain, theirs
from benchmarks.earlyon.measure import decisions, measured, rounds_of, rows_of
from benchmarks.earlyon.page import page
from benchmarks.earlyon.peer import PACKAGE, missing
from offramp.bundle import MANIFEST
from offramp.errors import DataError
from offramp.machine import machine
from offramp.model.modes import frozen
from offramp.sources import Source

WAIT = "OMP_WAIT_POLICY"


def opened(config: dict[str, Any], front: dict[str, Any], root: Path, work: Path) -> tuple[offramp.Bundle, Source]:
    """The bundle on its backbone, built if it is not there, and the data it was built from."""
    protocol, seed = config["protocol"], config["seed"]
    folder = work / f"{protocol}{seed}"
    if not (folder / MANIFEST).exists():
        note = built(front, front["protocols"][protocol], seed, root, folder)
        folder.with_suffix(".json").write_text(json.dumps(note))
    loaded = offramp.load_model(front["model"], root / front["weights"])
    bundle = offramp.Bundle.load(folder).attach(loaded.model)
    source = offramp.open_source(str(root / front["data"]), loaded.preprocess)
    if source.fingerprint() != bundle.manifest.data.fingerprint:
        raise DataError(f"expected the data that {folder} was built from, got {source.name}; build the bundle again")
    return bundle, source


def result_of(config: dict[str, Any], bundle: offramp.Bundle, source: Source, folder: Path) -> dict[str, Any]:
    """Rows for each batch size, and whether decisions agree, on the report part of the data."""
    assert bundle.multi_exit is not None
    points, model = config["points"], bundle.multi_exit.backbone.model
    contestants: list[Contestant] = [
        plain(model, len(bundle.manifest.exits)),
        *ours(bundle, config["backends"], points, folder, config["threads"]),
        *theirs(bundle, points, batched=True),
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    same: Mapping[str, dict[str, Any]] = {}
    for text, sizes in config["sizes"].items():
        size = int(text)
        running = [one for one in contestants if size > 1 or one.who != BATCHED]
        rounds = rounds_of(source, bundle.splits["report"], size, sizes["rounds"], sizes["batches"])
        with frozen(model):
            timing, found = measured(running, rounds, config["warm_up"])
        rows[text] = rows_of(timing, found, sizes["batches"], len(bundle.manifest.exits))
        if size == 1:
            same = decisions(found)
        for row in rows[text]:
            print(size, row["point"], row["who"], row["on"], f"{row['ms']:.2f} ms", flush=True)
    return {
        "exits": [exit_.point for exit_ in bundle.manifest.exits],
        "samples": len(bundle.splits["report"]),
        "same_decisions_at_batch_1": same,
        "rows": rows,
    }


def main() -> None:
    """Measures, and writes the result and the page; says so and does nothing where earlyon is not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/cifar_front"), help="where the bundles are")
    parser.add_argument("--rounds", type=int, help="at most so many rounds, for a trial")
    wishes = parser.parse_args()
    if (reason := missing()) is not None:
        print(f"skipped: {reason}")
        return
    config = json.loads(wishes.config.read_text())
    if config["threads"] > 1 and os.environ.get(WAIT) != "PASSIVE":
        raise SystemExit(f"expected {WAIT}=PASSIVE, so that torch's waiting threads leave the cores to others; set it")
    for sizes in config["sizes"].values():
        sizes["rounds"] = min(sizes["rounds"], wishes.rounds or sizes["rounds"])
    torch.set_num_threads(config["threads"])
    front = json.loads(Path(config["front"]).read_text())
    bundle, source = opened(config, front, Path(os.environ.get("OFFRAMP_DATA", "../shared/data")), wishes.work)
    with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
        found = result_of(config, bundle, source, Path(folder))
    packages = (PACKAGE, "fvcore", "torchvision", "onnxruntime", "openvino")
    here = {**machine(*packages), WAIT: os.environ.get(WAIT)}
    result = {"config": config, "front": front, "machine": here, **found}
    (wishes.out / "results").mkdir(parents=True, exist_ok=True)
    (wishes.out / "results" / "earlyon.json").write_text(json.dumps(result, indent=1) + "\n")
    (wishes.out / "earlyon.md").write_text(page(result))
    print(wishes.out / "earlyon.md")


if __name__ == "__main__":
    main()
