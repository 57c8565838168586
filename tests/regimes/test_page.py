import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.regimes.data import parts
from benchmarks.regimes.figure import draw
from benchmarks.regimes.page import page
from benchmarks.regimes.training import regime

CONFIG = Path("benchmarks/regimes/config.json")


def made() -> dict[str, Any]:
    """A result in which a row's accuracy is 10 % times its number, one point more for seed 1, five for more images."""
    config = json.loads((Path(__file__).parents[2] / CONFIG).read_text())
    runs = []
    for seed in config["seeds"]:
        for size in config["sizes"]:
            for number, (row, told) in enumerate(config["rows"].items(), start=1):
                share = 0.1 * number + 0.01 * seed + 0.05 * (size > 5000)
                cell = {"chosen": [share, 0.5], "read off": [share + 0.002, 0.5]}
                runs.append(
                    {
                        "row": row,
                        "size": size,
                        "seed": seed,
                        "images": 5000,
                        "exits": [0.0, share],
                        "costs": [0.1, 1.0],
                        "backbone": 0.05 if len(told["lengths"]) > 1 else None,
                        "last_exit_is_backbone": row == "disjoint",
                        "columns": dict.fromkeys(("50", "75", "100", "max"), cell)
                        | {"25": {"chosen": None, "read off": None} if row == "disjoint" else cell},
                        "curve": [[0.1, 0.1], [1.0, share]],
                        "steps": sum(told["lengths"]) * config["steps"],
                        "training_macs": 2e12,
                        "seconds": 1.0,
                    }
                )
    return {"config": config, "machine": {"processor": "abacus"}, "runs": runs}


def test_the_page_tells_what_is_in_the_result() -> None:
    text = page(made(), CONFIG)
    assert "| mixed | 20.50 ± 0.71 (20.70) | 20.50 ± 0.71 (20.70) |" in text
    assert "| disjoint | - (-) | 10.50 ± 0.71 (10.70) |" in text
    assert "bit for bit: 4 of 4 runs" in text
    assert "| **R2** mixed - joint at 100 %, as many steps | -10.00 ± 0.00 | -10.00 ± 0.00 | ≥ 0 |" in text
    assert "| joint - disjoint at 25 %, as many steps | - | - | several |" in text
    assert "| **R3** last exit of joint - backbone, one phase each | +35.50 ± 0.71 | +40.50 ± 0.71 |" in text
    assert "| 50 % | +0.20 | +0.20 |" in text
    assert "processor abacus" in text
    assert CONFIG.as_posix() in text


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    draw(made(), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_rows_are_as_long_as_the_config_says() -> None:
    config = made()["config"]
    lengths = {
        row: [phase.length.steps for phase in regime(config, told).phases] for row, told in config["rows"].items()
    }
    steps = config["steps"]
    assert lengths["disjoint"] == lengths["mixed"] == [steps, steps]
    assert lengths["joint, as many steps"] == [2 * steps]
    assert lengths["joint, one phase"] == [steps]


def test_no_image_serves_two_purposes(tmp_path: Path) -> None:
    """Images that are their own number; the ones to choose on are the same for all sizes."""
    x = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x=x[:30], y=np.arange(30))
    np.savez(tmp_path / "b.npz", x=x[30:], y=np.arange(30, 60))
    np.savez(tmp_path / "t.npz", x=x[:5], y=np.arange(5))
    config = {"training": ["a.npz", "b.npz"], "test": "t.npz", "validation": 20}
    small, large = parts(config, tmp_path, 10, 0), parts(config, tmp_path, 40, 0)
    assert set(small["choose"].labels()) == set(large["choose"].labels())
    assert set(small["learn"].labels()) <= set(large["learn"].labels())
    assert not set(large["learn"].labels()) & set(large["choose"].labels())
    assert set(parts(config, tmp_path, 10, 1)["choose"].labels()) != set(small["choose"].labels())
    with pytest.raises(SystemExit, match="expected at most 40 images to learn from, got 41"):
        parts(config, tmp_path, 41, 0)
