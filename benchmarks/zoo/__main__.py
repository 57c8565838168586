"""Checks every model of the zoo, and writes the result and the table.

    python -m benchmarks.zoo benchmarks/zoo/config.json [--only timm:resnet10t]

What is done is kept, so an interrupted run goes on. Needs timm, torchvision and transformers, and no network.
"""

import argparse
import gc
import json
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.kept import kept
from benchmarks.zoo.check import Row, check
from benchmarks.zoo.table import table
from offramp.machine import machine

PACKAGES = ("timm", "torchvision", "transformers")


def checked(name: str) -> dict[str, Any]:
    """The row of a model as a dict; what the libraries say about their own models is not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        row = check(name)
    gc.collect()
    return asdict(row)


def main() -> None:
    """Runs what is missing, writes the result and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", action="append", help="only this model, and write nothing; repeatable")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path("build/zoo"))
    wishes = parser.parse_args()
    names = [f"{library}:{name}" for library, some in json.loads(wishes.config.read_text()).items() for name in some]
    rows = []
    for number, name in enumerate(wishes.only or names, start=1):
        note = wishes.work / f"{name.replace('/', '_').replace(':', '_')}.json"
        row = check(name) if wishes.only else Row(**kept(note, partial(checked, name)))
        rows.append(row)
        print(f"{number:3d}/{len(names)} {row.seconds:5.1f} s  {row}", flush=True)
    if wishes.only:
        return
    result = {"machine": machine(*PACKAGES), "rows": [asdict(row) for row in rows]}
    (wishes.out / "results" / "zoo.json").write_text(json.dumps(result, indent=1) + "\n")
    (wishes.out / "zoo.md").write_text(table(rows))
    print(wishes.out / "zoo.md")


if __name__ == "__main__":
    main()
