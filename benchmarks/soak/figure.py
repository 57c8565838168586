"""The figure of the benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import BLUE, GREY, ORANGE, figure


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Resident memory over time, and the line whose slope is judged."""
    minutes = np.array(result["seconds"]) / 60.0
    memory = np.array(result["memory"]) / 2**20
    after = minutes >= result["config"]["warm"] * minutes[-1]
    slope, offset = np.polyfit(minutes[after], memory[after], 1)
    with figure(path, 7.0, 3.2) as drawn:
        axes = drawn.subplots()
        axes.plot(minutes, memory, color=BLUE, label="resident memory of the server")
        label = f"line after warm-up: {100 * result['growth']:+.1f} %"
        axes.plot(minutes[after], slope * minutes[after] + offset, color=ORANGE, label=label)
        axes.axvline(minutes[after][0], color=GREY, linewidth=0.8)
        axes.set_ylim(0, 1.25 * memory.max())
        axes.set_xlabel("minutes")
        axes.set_ylabel("MiB")
        axes.legend(loc="lower right")
