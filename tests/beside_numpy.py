"""A program for where only NumPy and ONNX Runtime are installed: FOLDER INPUTS.npy POINT…

It runs exported stages and the decision column, and prints what they say as JSON.
"""

import json
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import offramp
from offramp import calibrate, decide, deployed, search, uncertainty
from offramp.decide.certify import certify
from offramp.decide.pareto import front
from offramp.decide.replay import operating_point
from offramp.errors import InputError
from offramp.testing.searchers import random_table
from offramp.types import Goal

ABSENT = ("jaxtyping", "openvino", "pydantic", "scipy", "torch")


def exported(folder: str, x: np.ndarray, points: list[str]) -> dict[str, Any]:
    """What the stages say at each point, to a batch and to some of it one by one."""
    model = deployed.load(folder, threads=1)
    found: dict[str, Any] = {}
    for name in points:
        model.use(name)
        outcomes = [model(x), *(model(x[row : row + 1]) for row in range(5))]
        found[name] = [[one.output.tolist(), one.exit_index.tolist(), one.score.tolist()] for one in outcomes]
    assert set(model.tune({4: [[x[:4]]] * 3})) == set(points)
    return found


def fronts() -> dict[str, list[tuple[float, float]]]:
    """Cost and loss of what each searcher chooses from a recorded table."""
    table = random_table(seed=0)
    return {
        name: [(one.cost, one.loss) for one in front(operating_point(table, c, name) for c in chosen)]
        for name, chosen in (
            (name, make().search(table, Goal(0.1)))
            for name, make in search.NAMES.items()
            if not name.endswith("-brent")
        )
    }


def imported() -> list[str]:
    """The modules of the decision column, imported."""
    names = ["offramp.errors", "offramp.split", "offramp.types"]
    for package in (calibrate, decide, search, uncertainty):
        names += [f"{package.__name__}.{one.name}" for one in pkgutil.iter_modules(package.__path__)]
    return [import_module(name).__name__ for name in names]


def refusals(folder: str) -> dict[str, str]:
    """What is said where a package is needed that is not there."""
    table = random_table(seed=0)
    point = operating_point(table, search.NAMES["shared"]().search(table, Goal(0.1))[-1], "fast")
    logits = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    needing: dict[str, Callable[[], object]] = {
        "openvino": lambda: deployed.load(folder, runtime="openvino"),
        "certify": lambda: certify([point], replace(random_table(seed=1), split="certify"), 0.1, 0.1),
    }
    for name in ("temperature", "vector", "isotonic"):
        needing[name] = partial(calibrate.NAMES[name]().fit, logits, np.array([0, 0, 1]))
    return {name: _refused(call) for name, call in needing.items()}


def _refused(call: Callable[[], object]) -> str:
    try:
        call()
    except InputError as error:
        return str(error)
    return "it was not refused"


def _absent(package: str) -> bool:
    try:
        import_module(package)
    except ModuleNotFoundError:
        return True
    return False


def main(folder: str, inputs: str, *points: str) -> None:
    """Prints all of it."""
    found = {
        "version": offramp.__version__,
        "file": offramp.__file__,
        "absent": [name for name in ABSENT if _absent(name)],
        "imported": imported(),
        "exported": exported(folder, np.load(inputs), list(points)),
        "fronts": fronts(),
        "refusals": refusals(folder),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
