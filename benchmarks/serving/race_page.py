"""The race as a page of the docs, and its curve."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from offramp.report.style import SERIES, figure

HEAD = """# The server under load

Made by `python -m benchmarks.serving.race {config}`; the result, with machine and versions, is
[results/serving_race.json](results/serving_race.json). On {processor}, Python {python}, ONNX Runtime {onnxruntime}.

ResNet-56 for CIFAR-10 (a bundle made without labels, tuned for ONNX Runtime on one thread), one image a request, sent
as 12 KiB of float32. `full` is the uncut model behind `offramp serve`; `balanced` and `fastest` are operating points of
the same server, with its defaults (2 % of early answers audited). LitServe 0.2.19 runs the same uncut file in ONNX
Runtime with one thread, batches of up to 32 and its fast queue, and is asked in base64 JSON, which its parsing takes.
Both have uvicorn with `uvloop` and `httptools`, which LitServe brings (`pip install 'uvicorn[standard]'` for offramp).
Each server has one core and the callers have the other; they are asked in turn for {seconds:g} s in each of {rounds}
rounds, while the other servers are stopped (`SIGSTOP`).

{images} images that trained and chose nothing; *agree*: answers that are those of LitServe's uncut model. *req/s*:
median over rounds, with the least and the most; *of LitServe*, *of full*: how many times as many as the better LitServe
and as `full` in the same round (median); *p50*, *p99*: of single requests in ms, median over rounds; *cpu*: processor
time of the server per request in ms.
"""

CURVE = """
## Requests that come whether replies do or not

Poisson arrivals at given rates (an open loop): latency counts from when a request was due, so a server that falls
behind shows it. Each line ends where the server no longer keeps up.

![Latency against throughput](results/serving_race.png)
"""

READ = """
## How to read this

* LitServe hands each request to a worker process and back; offramp's batches run in a thread of the server, so it
  needs less of the processor around the model. That part of the gain is of the server, not of exits: compare with
  `full`.
* In some rounds a pause of about 0.15 s made p99 of offramp's rows about 0.2 s: the interpreter's collector looked
  through everything that was there since the start. Since this run it does not any more (`gc.freeze`).
* An early answer leaves at once, while the others of its batch go on; p50 falls more than p99, which is that of images
  that no exit takes.
* With one core for everything, parsing and the network's own work share it. On more cores both servers would gain.
"""


def page(result: Mapping[str, Any], path: Path) -> str:
    """The page."""
    config, rows = result["config"], result["rows"]
    head = HEAD.format(config=path, images=result["images"], **result["machine"], **_numbers(config))
    parts = [head]
    for callers in config["callers"]:
        parts.append(f"\n## {callers} caller{'s' * (callers > 1)} at a time\n\n")
        parts.append(
            "| server | req/s | of LitServe | of full | p50 | p99 | cpu | agree |\n|---|---|---|---|---|---|---|---|\n"
        )
        parts += table([row for row in rows if row["callers"] == callers], result["agreement"])
    return "".join([*parts, CURVE, READ])


def _numbers(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in ("seconds", "rounds")}


def names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The contestants."""
    return list(dict.fromkeys(row["name"] for row in rows))


def median(rows: Sequence[Mapping[str, Any]], name: str, key: str) -> float:
    """Of a contestant, over rounds."""
    return float(np.median([row[key] for row in rows if row["name"] == name]))


def table(rows: Sequence[Mapping[str, Any]], agreement: Mapping[str, float]) -> list[str]:
    """The rows of one number of callers."""
    rates = {name: np.array([row["rate"] for row in rows if row["name"] == name]) for name in names(rows)}
    peer = np.max([rate for name, rate in rates.items() if "LitServe" in name], axis=0)
    lines = []
    for name, rate in rates.items():
        ratios = [f"{np.median(rate / other):.2f}" for other in (peer, rates["offramp, full"])]
        cells = [name, f"{np.median(rate):.0f} ({rate.min():.0f} to {rate.max():.0f})", *ratios]
        cells += [f"{median(rows, name, key):.2f}" for key in ("p50", "p99", "processor_ms")]
        lines.append(f"| {' | '.join([*cells, f'{100 * agreement[name]:.1f} %'])} |\n")
    return lines


def curve(result: Mapping[str, Any], path: Path) -> None:
    """Median and 99th percentile over the throughput."""
    rows = result["curves"]
    with figure(path, 9.0, 3.8) as drawn:
        panels = drawn.subplots(1, 2, sharex=True)
        for axes, key in zip(panels, ("p50", "p99"), strict=True):
            for name, colour in zip(names(rows), cycle(SERIES), strict=False):
                here = [row for row in rows if row["name"] == name]
                style = "--" if "LitServe" in name else "-"
                xs, ys = [row["rate"] for row in here], [row[key] for row in here]
                axes.plot(xs, ys, style, marker="o", markersize=3, color=colour, label=name)
            axes.set_yscale("log")
            axes.set_xlabel("answers per second")
            axes.set_ylabel(f"{key} from when it was due, ms")
        panels[0].legend(fontsize=7)
        drawn.suptitle("ResNet-56, one image a request, one core", x=0.01, ha="left")
