"""Exits on DLRMs for Frappe, trained without labels and evaluated on rows that neither model nor exits saw, over seeds.

    python -m benchmarks.recsys.front benchmarks/recsys/front.json

The models are made first where they are missing; see `benchmarks.recsys.train`. What is done is kept, so an interrupted
run goes on; `--time-again` measures time alone anew.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

import offramp
from benchmarks.fronts import cost_within, spread
from benchmarks.kept import kept
from benchmarks.recsys import frappe
from benchmarks.recsys.dlrm import DLRM
from benchmarks.recsys.learning import Course, figures, learn
from benchmarks.recsys.page import page
from benchmarks.recsys.seconds import timed
from benchmarks.recsys.train import trained
from offramp.evaluation import Evaluated, Evaluation
from offramp.inputs import Inputs
from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.models import LoadedModel
from offramp.machine import machine
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.ctr import Ctr

NAMED = ("careful", "balanced", "fast", "fastest")
"""Operating points that are told one by one."""


def made(net: str, seed: int, training: dict[str, Any], source: Path, work: Path) -> dict[str, float]:
    """A network with weights in `NETSEED.safetensors`, the rows for its exits and for its test; figures on the latter.

    All networks of a seed learn from the same rows.
    """
    first = kept(work / f"trained{seed}.json", partial(trained, seed, training, source, work))
    if net == "dlrm":
        return {key: float(value) for key, value in first["dlrm"].items()}

    def another() -> dict[str, float]:
        rows, _ = frappe.rows_of(source)
        where = frappe.parts(len(rows), training["rows"], seed)
        train, held, test = (rows.at(where[name]) for name in ("train", "held", "test"))
        model = getattr(frappe, net)(seed)
        steps = learn(model, train, held, Course(**training["dlrm"]), seed)
        save_file(model.state_dict(), work / f"{net}{seed}.safetensors")
        return {"steps": steps} | figures(model, test)

    return kept(work / f"trained_{net}{seed}.json", another)


def loaded(net: str, seed: int, work: Path) -> LoadedModel:
    """The trained network."""
    return offramp.load_model(f"benchmarks/recsys/frappe.py:{net}", work / f"{net}{seed}.safetensors")


def measured(net: str, seed: int, config: dict[str, Any], work: Path) -> dict[str, Any]:
    """Builds exits from rows without labels and evaluates them on the test rows."""
    model, data = loaded(net, seed, work), work / f"stream{seed}.libfm"
    bundle = offramp.build(
        model,
        data,
        out=work / f"exits_{net}{seed}",
        max_drop=config["max_drop"],
        delta=config["delta"],
        seed=seed,
        overwrite=True,
        keep=config["points_kept"],
        recipe=config["recipe"],
    )
    test = offramp.open_source(work / f"test{seed}.libfm", model.preprocess)
    found = offramp.evaluate(bundle, test, batch_sizes=())
    points = {point.name: point for point in found.points}
    imposed = max((p for p in found.points if p.cost_ratio <= config["imposed_cost"]), key=lambda p: p.cost_ratio)
    return {
        "seed": seed,
        "exits": [f"{exit_.point}/{exit_.head}" for exit_ in bundle.manifest.exits],
        "plain": {"accuracy": found.accuracy, **found.measures},
        "oracle_cost": found.oracle_cost,
        "cost_within_drop": {str(drop): cost_within(found, drop) for drop in config["drops_in_points"]},
        "cost_within_auc": {str(drop): _within_auc(found, drop) for drop in config["drops_in_points"]},
        "named": {name: _figures(points[bundle.point(name).name], found) for name in NAMED},
        "imposed": _figures(imposed, found),
        "front": [
            [p.cost_ratio, p.agreement, p.accuracy, p.measures["auc"], p.measures["log_loss"]] for p in found.points
        ],
    }


def _within_auc(found: Evaluation, drop: float) -> float:
    """Lowest cost among the operating points that lose at most `drop` hundredths of the area under the curve."""
    least = found.measures["auc"] - drop / 100 - 1e-9
    return min(point.cost_ratio for point in found.points if point.measures["auc"] >= least)


def _figures(point: Evaluated, found: Evaluation) -> dict[str, Any]:
    return {
        "point": point.name,
        "cost": point.cost_ratio,
        "agreement": point.agreement,
        "accuracy_drop": point.accuracy_drop,
        "auc_drop": 100 * (found.measures["auc"] - point.measures["auc"]),
        "log_loss": point.measures["log_loss"],
        "log_loss_ratio": point.measures["log_loss"] / found.measures["log_loss"],
        "certified": None if point.bound is None else point.bound.epsilon,
    }


def summary(models: list[dict[str, float]], runs: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Mean and spread over seeds."""
    fields = ("cost", "agreement", "accuracy_drop", "auc_drop", "log_loss", "log_loss_ratio")
    named = {name: [run["named"][name] for run in runs] for name in NAMED} | {"imposed": [r["imposed"] for r in runs]}
    return {
        "plain": {key: spread([model[key] for model in models]) for key in ("accuracy", "auc", "log_loss")},
        "oracle_cost": spread([run["oracle_cost"] for run in runs]),
        **{
            key: {str(drop): spread([run[key][str(drop)] for run in runs]) for drop in config["drops_in_points"]}
            for key in ("cost_within_drop", "cost_within_auc")
        },
        "named": {
            name: {field: spread([one[field] for one in found]) for field in fields}
            | {"certified": [one["certified"] for one in found]}
            for name, found in named.items()
        },
    }


def shapes() -> dict[str, Any]:
    """MACs of each network and the share of them up to each exit point; Criteo's with made-up rows, untrained."""
    generator = torch.Generator().manual_seed(0)
    hashed = ClickPreprocess.criteo(1000)
    rows = torch.zeros(2, len(frappe.SIZES), dtype=torch.int64)
    ids = torch.randint(0, 1000, (2, 26), generator=generator)
    criteo = {"dense": torch.rand(2, 13, generator=generator), "sparse": ids}
    nets: dict[str, tuple[nn.Module, Inputs]] = {
        "dlrm": (frappe.dlrm(), rows),
        "narrow": (frappe.narrow(), rows),
        "criteo": (DLRM(hashed.sizes, dense=13), criteo),
    }
    found = {}
    for name, (net, inputs) in nets.items():
        backbone = analyse(net.eval(), inputs, reader(Ctr()))
        found[name] = {"macs": backbone.macs, "points": {point.name: point.depth for point in backbone.points}}
    return found


def main() -> None:
    """Runs what is missing, writes the result and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/recsys"))
    parser.add_argument("--time-again", action="store_true", help="measure time anew")
    wishes = parser.parse_args()
    config = json.loads(wishes.config.read_text())
    training = json.loads(Path(config["training"]).read_text())
    source, work = Path(os.environ.get("OFFRAMP_DATA", "../shared/data")) / training["data"], wishes.work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    result: dict[str, Any] = {"version": 1, "config": config, "training": training, "machine": machine()}
    result |= {"shapes": shapes(), "nets": {}}
    for net in config["nets"]:
        models, runs = [], []
        for seed in config["seeds"]:
            models.append(made(net, seed, training, source, work))
            runs.append(kept(work / f"front_{net}{seed}.json", partial(measured, net, seed, config, work)))
            print(net, seed, models[-1], runs[-1]["named"], flush=True)
        result["nets"][net] = {"summary": summary(models, runs, config), "models": models, "runs": runs}
    for net in config["nets"]:
        times = []
        for seed in config["timed_seeds"]:
            note = work / f"timed_{net}{seed}.json"
            if wishes.time_again:
                note.unlink(missing_ok=True)
            times.append(kept(note, partial(timed, loaded(net, seed, work), net, seed, config, work)))
        result["nets"][net]["time"] = times
    (wishes.out / "results" / "recsys.json").write_text(json.dumps(result, indent=1) + "\n")
    (wishes.out / "ctr.md").write_text(page(result))
    print(wishes.out / "ctr.md")


if __name__ == "__main__":
    main()
