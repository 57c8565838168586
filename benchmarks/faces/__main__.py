"""Exits on MobileFaceNet for ORL's faces, by SelfXit's protocol, trained without labels, over seeds.

    python -m benchmarks.faces benchmarks/faces/config.json

A classifier of identities is made first, on pictures that are used for nothing else. What is done is kept, so an
interrupted run goes on. The data is looked for in $OFFRAMP_DATA or ../shared/data.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import offramp
from benchmarks.faces.classifier import said, teach
from benchmarks.faces.measure import Trial, closed, opened
from benchmarks.faces.orl import WEIGHTS, Faces, data_root, faces
from benchmarks.faces.page import page
from benchmarks.faces.protocol import KNOWN, SUBJECTS, portions
from benchmarks.faces.verification import verified
from benchmarks.kept import kept
from offramp.load.models import LoadedModel
from offramp.machine import machine

MODELS = {"identifier": SUBJECTS, "open_identifier": KNOWN}
"""Factories in `network.py`, and how many subjects each knows."""


def models(all_faces: Faces, work: Path) -> dict[str, LoadedModel]:
    """The identifiers by the names of their factories; trained if that has not been done yet."""
    for name, identities in MODELS.items():
        weights = work / f"{name}.safetensors"
        if not weights.exists():
            teach(all_faces, identities, data_root() / WEIGHTS, weights)
    return {
        name: offramp.load_model(f"benchmarks/faces/network.py:{name}", work / f"{name}.safetensors") for name in MODELS
    }


def plain(loaded: LoadedModel, all_faces: Faces) -> dict[str, Any]:
    """The backbone alone: its accuracy on the stream, and all pairs of all pictures."""
    _, stream = portions(all_faces.subject)
    found = said(loaded.model, all_faces)
    told = found["logits"][stream].argmax(1).numpy()
    pairs = verified(found["embedding"].numpy(), all_faces.subject)
    assert pairs is not None
    return {
        "accuracy": float((told == all_faces.subject[stream]).mean()),
        "pictures": len(stream),
        "auc": pairs.auc,
        "tar": pairs.tar,
        "pairs": [pairs.same, pairs.different],
    }


def over_seeds(measure: Callable[[Trial], dict[str, Any]], trial: Trial, prefix: str = "") -> list[dict[str, Any]]:
    """What is measured for each seed, or was before."""
    found = []
    for seed in trial.config["seeds"]:
        out = trial.out / f"{prefix}{trial.layout}-{trial.recipe}-{seed}"
        found.append(kept(out.with_suffix(".json"), partial(measure, replace(trial, seed=seed, out=out))))
        print(out.name, found[-1]["named"], flush=True)
    return found


def main() -> None:
    """Runs what is missing, writes the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/faces"))
    parser.add_argument("--models-only", action="store_true", help="make the models and stop")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    wishes.work.mkdir(parents=True, exist_ok=True)
    all_faces = faces()
    loaded = models(all_faces, wishes.work)
    if wishes.models_only:
        return
    start = Trial(loaded["identifier"], SUBJECTS, all_faces, "", "", 0, config, wishes.work)
    runs = [over_seeds(closed, replace(start, **run)) for run in config["runs"]]
    known = replace(start, loaded=loaded["open_identifier"], identities=KNOWN, **config["open"])
    strangers = over_seeds(opened, known, "open-")
    result = {
        "config": config,
        "machine": machine(),
        "plain": plain(loaded["identifier"], all_faces),
        "runs": runs,
        "open": strangers,
    }
    (wishes.out / "results").mkdir(parents=True, exist_ok=True)
    (wishes.out / "results" / "faces.json").write_text(json.dumps(result, indent=1) + "\n")
    (wishes.out / "faces.md").write_text(page(result))
    print(wishes.out / "faces.md")


if __name__ == "__main__":
    main()
