"""What is foreseen before a build held against what was built, on three models; and the table for ResNet-56.

    python -m benchmarks.advise benchmarks/advise/config.json
    python -m benchmarks.advise benchmarks/advise/config.json --time-again

The bundles of MiniLM and DLRM are those of `benchmarks.texts` and `benchmarks.recsys.front`, which are made first;
figures of ResNet-56 are those of `offramp bench methods benchmarks/methods/resnet56.toml`. What is done is kept;
`--time-again` takes all times anew, and nothing else should run meanwhile.
"""

import argparse
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import offramp
from benchmarks.advise.page import page
from benchmarks.kept import kept
from benchmarks.texts.network import transformers
from offramp.advise.advising import options_of
from offramp.advise.expected import Expected
from offramp.advise.forecast import Forecast, forecast
from offramp.benching import bench
from offramp.bundle import MANIFEST
from offramp.cli.app import main as command_line
from offramp.load.models import LoadedModel
from offramp.machine import machine
from offramp.meant import meant
from offramp.model.points import analyse
from offramp.options import Options
from offramp.pipeline import example_of
from offramp.reading import reader
from offramp.split import Shares
from offramp.tasks import task as task_of

RESULT, PAGE, TABLE = (
    Path("docs/results/advise.json"),
    Path("docs/advise.md"),
    Path("docs/results/advise_resnet56.json"),
)
VERSION = 1


def placed(value: Any, build: Path, seed: int = 0) -> Any:
    """A text of the config with what its words stand for."""
    data = os.environ.get("OFFRAMP_DATA", "../shared/data")
    return str(value).replace("DATA", data).replace("BUILD", str(build)).replace("SEED", str(seed))


def loaded(entry: dict[str, Any], build: Path, seed: int) -> LoadedModel:
    """The model of a seed."""
    weights = placed(entry["weights"], build, seed) if "weights" in entry else None
    length = {"max_length": entry["max_length"]} if "max_length" in entry else None
    if entry["model"].startswith("transformers"):
        transformers()
    return offramp.load_model(placed(entry["model"], build, seed), weights, preprocess=length)


def options(entry: dict[str, Any], model: LoadedModel, data: Any, build: Path, seed: int) -> Options:
    """Those of what was built."""
    if "bundle" in entry:
        return options_of(offramp.Bundle.load(placed(entry["bundle"], build, seed)))
    task = meant(Options(), model.model, example_of(data), model.preprocess)
    return Options(recipe=entry["recipe"], shares=Shares.parse(entry["split"]), seed=seed, task=task.name)


def before(entry: dict[str, Any], config: dict[str, Any], build: Path, seed: int, timed: bool) -> dict[str, Any]:
    """What is foreseen for one seed."""
    model = loaded(entry, build, seed)
    data = offramp.open_source(placed(entry["data"], build, seed), model.preprocess)
    wish = options(entry, model, data, build, seed)
    task = task_of(wish.task or "classification")
    backbone = analyse(model.model, example_of(data), reader(task))
    sizes, rounds = config["batch_sizes"] if timed else (), config["rounds"]
    found = forecast(
        backbone,
        task,
        data,
        wish,
        samples=config["samples"],
        batch_sizes=sizes,
        backend=config["backend"],
        rounds=rounds,
    )
    return told(found)


def told(found: Forecast) -> dict[str, Any]:
    """What is kept of a forecast."""

    def point(one: Expected | None) -> dict[str, Any] | None:
        if one is None:
            return None
        by_size = {str(size): share for size, share in one.time.items()}
        return {"cost": one.cost, "disagreement": one.disagreement, "early": one.early, "time": by_size}

    return {
        "samples": found.samples,
        "chosen": point(found.chosen),
        "certified": point(found.certified),
        "read": point(found.read),
        "train": found.train,
        "rate": found.rate,
        "certify": found.certify,
        "oracle": found.oracle,
        "agreement": dict(zip(found.points, found.agreement, strict=True)),
        "verdict": {"word": found.verdict.word, "reasons": list(found.verdict.reasons)},
    }


def after(entry: dict[str, Any], config: dict[str, Any], build: Path, seed: int, timed: bool) -> dict[str, Any]:
    """What was built, on its report part; where it is wanted and there is a bundle, what it takes."""
    if "methods" in entry:
        rows = json.loads(Path(entry["methods"]).read_text())["rows"]
        row = next(one for one in rows if one["recipe"] == entry["recipe"] and one["seed"] == seed)
        return {"certified": row["certified"]["cost"], "chosen": row["chosen"]["1"]["cost"], "time": {}}
    folder = Path(placed(entry["bundle"], build, seed))
    if not (folder / MANIFEST).exists():
        raise SystemExit(f"expected a bundle in {folder}; run benchmarks.texts and benchmarks.recsys.front first")
    bundle = offramp.Bundle.load(folder)
    name = bundle.point("balanced").name
    found: dict[str, Any] = {"certified": next(p.cost for p in bundle.report if p.name == name), "chosen": None}
    if timed:
        model = loaded(entry, build, seed)
        live = bundle.attach(model.model)
        data = offramp.open_source(placed(entry["data"], build, seed), model.preprocess)
        rows = bench(live, data, [config["backend"]], config["batch_sizes"], [name], rounds=config["rounds"])
        found["time"] = {str(row.batch): row.ratio_to_uncut for row in rows if row.point == name}
    return {"time": {}, **found}


def predictions(config: dict[str, Any], build: Path, work: Path, again: bool) -> list[dict[str, Any]]:
    """Before and after, for each model and seed."""
    found = []
    for entry in config["models"]:
        for seed in entry["seeds"]:
            slug = "".join(letter for letter in entry["name"].lower() if letter.isalnum())
            note, timed = work / f"{slug}{seed}.json", (work / f"{slug}{seed}-timed.json")
            if again and seed == entry["seeds"][0]:
                timed.unlink(missing_ok=True)
                kept(timed, partial(pair, entry, config, build, seed, True))
            one = kept(timed if timed.exists() else note, partial(pair, entry, config, build, seed, False))
            found.append({"model": entry["name"], "seed": seed, **one})
            print(entry["name"], seed, one["before"]["certified"], one["after"], flush=True)
    return found


def pair(entry: dict[str, Any], config: dict[str, Any], build: Path, seed: int, timed: bool) -> dict[str, Any]:
    """Both, of one seed."""
    return {"before": before(entry, config, build, seed, timed), "after": after(entry, config, build, seed, timed)}


def command(table: dict[str, Any], build: Path, work: Path, timed: bool, rounds: int) -> list[str]:
    """The one command that makes the table."""
    rivals = [word for one in table["rivals"] for word in ("--rival", placed(one, build))]
    return [
        *("advise", table["model"], "--weights", placed(table["weights"], build)),
        *("--data", placed(table["data"], build), *rivals, "--build", "--recipe", table["recipe"]),
        *("--work", str(work / "resnet56"), "--rounds", str(rounds), *([] if timed else ["--batch-sizes", ""])),
        *("--out", str(TABLE), "--markdown", str(work / "table.md"), "--figure", str(TABLE.with_suffix(".png"))),
    ]


def main() -> None:
    """Runs what is missing, and writes results and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/advise"))
    parser.add_argument("--build", type=Path, default=Path("build"), help="where others keep their bundles")
    parser.add_argument("--time-again", action="store_true", help="take all times anew")
    parser.add_argument("--rounds", type=int, default=0, help="of the timing; default: as the config says")
    given = parser.parse_args()
    config = json.loads(given.config.read_text())
    config["rounds"] = given.rounds or config["rounds"]
    given.work.mkdir(parents=True, exist_ok=True)
    rows = predictions(config, given.build, given.work, given.time_again)
    words = command(config["table"], given.build, given.work, given.time_again, config["rounds"])
    if given.time_again or not TABLE.exists():
        code = command_line(words)
        if code:
            raise SystemExit(code)
    facts = machine("onnxruntime", "openvino", "nncf", "transformers")
    result = {"version": VERSION, "machine": facts, "config": config, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(page(result, json.loads(TABLE.read_text()), (given.work / "table.md").read_text(), words))
    print(PAGE)


if __name__ == "__main__":
    main()
