"""How tight each guarantee is: what it certifies on random splits of a simulated table whose true risks are known.

    python -m benchmarks.guarantees benchmarks/guarantees/config.json

The path is chosen once, on other samples of the same kind. Prints the table of docs/how-to/certify.md.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp.decide.guarantees import NAMES
from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.replay import excess, gap, operating_point
from offramp.machine import machine
from offramp.search.shared import SharedThreshold
from offramp.testing.guarantees import cheapest
from offramp.testing.searchers import random_table
from offramp.types import Configuration, ExitTable, Goal

RESULT = Path("docs/results/guarantees.json")
VERSION = 1
CASES = (*(("disagreement", name) for name in NAMES), ("error", "ltt"), ("gap", "ucb-wsr"))
"""What is compared: a risk and the name of a guarantee."""


def main() -> None:
    """Measures all, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    config = json.loads(parser.parse_args().config.read_text())
    result = {"version": VERSION, "machine": machine("scipy"), "config": config, "rows": measured(config)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(lines(result)))


def measured(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each risk and guarantee: what is chosen for the goal on each split, and what it truly is."""
    found = []
    for risk in dict.fromkeys(risk for risk, _ in CASES):
        kind = "disagreement" if risk == "disagreement" else "error"
        chooser = random_table(0, samples=config["choose"], risk=kind)
        path = SharedThreshold(points=config["points"]).search(chooser, Goal(config["max_drop"]))[1:]
        pool = random_table(1, samples=config["pool"], risk=kind)
        losses = np.array([(gap if risk == "gap" else excess)(pool, configuration) for configuration in path])
        for name in (name for one, name in CASES if one == risk):
            chosen = _chosen(NAMES[name](), losses, _costs(pool, path), config)
            allowed = _allowed(NAMES[name](), len(path), config)
            found.append({"risk": risk, "guarantee": name, "points": len(path), "allowed": allowed, **chosen})
            print(found[-1], flush=True)
    return found


def _costs(pool: ExitTable, path: list[Configuration]) -> np.ndarray:
    return np.array([operating_point(pool, configuration, "").cost for configuration in path])


def _chosen(guarantee: Guarantee, losses: np.ndarray, cost: np.ndarray, config: Mapping[str, Any]) -> dict[str, float]:
    """Cost and true risk of the cheapest point certified for the goal, over the splits."""
    risk, paid = np.zeros(config["splits"]), np.ones(config["splits"])
    for seed in range(config["splits"]):
        rows = np.random.default_rng(seed).choice(losses.shape[1], config["samples"], replace=False)
        last = cheapest(guarantee.prove(losses[:, rows], config["max_drop"], config["delta"]), config["max_drop"])
        if last is not None:
            risk[seed], paid[seed] = losses[last].mean(), cost[last]
    return {
        "cost": float(paid.mean()),
        "cost_sd": float(paid.std(ddof=1)),
        "true_risk": float(risk.mean()),
        "beyond": float(np.mean(risk > config["max_drop"])),
    }


def _allowed(guarantee: Guarantee, points: int, config: Mapping[str, Any]) -> int:
    """The most losses, the same at all points, with which the goal is certified."""
    lost = np.random.default_rng(0).permutation(config["samples"])
    samples: int = config["samples"]
    for count in range(samples):
        losses = np.tile((lost < count).astype(np.float64), (points, 1))
        if cheapest(guarantee.prove(losses, config["max_drop"], config["delta"]), config["max_drop"]) is None:
            return count - 1
    return samples


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The result as a table in Markdown."""
    samples, goal = result["config"]["samples"], 100 * result["config"]["max_drop"]
    yield f"| `--guarantee` | risk | most losses in {samples:,} | cost, % | true risk, % | above {goal:g} % in |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for row in result["rows"]:
        yield (
            f"| `{row['guarantee']}` | {row['risk']} | {row['allowed'] if row['allowed'] >= 0 else 'none'} | "
            f"{100 * row['cost']:.1f} ± {100 * row['cost_sd']:.1f} | {100 * row['true_risk']:.2f} | "
            f"{100 * row['beyond']:.0f} % |"
        )


if __name__ == "__main__":
    main()
