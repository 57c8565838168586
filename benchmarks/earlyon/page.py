"""The result of the comparison as a page of the docs."""

from typing import Any

from benchmarks.earlyon.peer import INSTALL

HEAD = """# offramp beside earlyon

Made by `OMP_WAIT_POLICY=PASSIVE python -m benchmarks.earlyon benchmarks/earlyon/config.json`; the result, with machine
and versions, is [results/earlyon.json](results/earlyon.json). On {processor}, {threads} thread{s}, torch {torch},
ONNX Runtime {onnxruntime}, OpenVINO {openvino}.

[earlyon](https://github.com/sohams25/earlyon) (version {earlyon}, MIT) is the one other package we know of that puts
early exits on an existing PyTorch model and really leaves there. Here both run the same thing: ResNet-56 trained on
CIFAR-10, a bundle of [the front benchmark](../benchmarks/cifar_front/config.json) (protocol {protocol}, seed {seed}),
its heads, temperatures and thresholds at {points}. earlyon's own `custom_ee` attaches exits at the same
modules, only at those that are on; then its heads are replaced by copies of ours. So the tables are about *running*
exits. How they are placed, trained and chosen is not compared.

Inputs are the {samples} samples of the report part, which trained and chose nothing; all contestants get the same
batches in turn, in one process. *plain* is the model itself, in inference mode.

"""

DECISIONS = """At batch 1 earlyon and offramp, both eager, took **the same decisions**: the same exit and the same class
for {each}. The largest difference between two scores was {distance:.1g}.
"""

TABLE = """
## Batch {size}

{batches} batches in {rounds} rounds ({samples} samples). *ms*: median over rounds of the mean per batch; *p50*, *p95*,
*p99*: over single batches, in ms; *of plain eager* and *of plain here*: time as a share of the plain model's in eager
PyTorch and on the same back end (ratio of medians over rounds, ± its standard error); *agree*: share of samples
answered like the plain eager model; *unlike*: how many have another exit or class than from offramp's eager runtime.

"""

TAIL = """
## How to read this

* **Batch 1 in eager PyTorch is what earlyon is made for.** Its hooks leave the model's own code as it is, and an exit
  that is taken is an exception out of the middle of it: nothing has to be captured, and nothing is cut. offramp's
  eager runtime runs the exported graph in segments instead; what that costs or saves is the difference between the two
  rows.
* **In a batch earlyon goes on until every sample may leave**, as its documentation says; where one sample is hard, all
  of them run the whole model, and are answered by it, so they agree with it more often. `one at a time` gives each
  sample of the batch to its router, as a user could who wants each to leave on its own. offramp takes those who leave
  out of the batch.
* **Early exits outside PyTorch**: earlyon exports one ONNX graph that computes all exits, so that nothing is saved
  there, which it says, too. offramp exports a graph for each stage. A faster back end makes each stop dearer in
  comparison: look at *of plain here* before early exits are added to a runtime, and at *of plain eager* for what both
  give together. `EarlyExitModel.tune` measures that on the spot and sends batches uncut where leaving is not faster; it
  is not used here, so that what exits cost can be seen.
* **Heads**: ours read a 4 x 4 grid of the feature. earlyon's own (global average, one hidden layer) are smaller, so
  with them each stop would cost less; how many samples could leave was not measured.
* earlyon also has what this table does not show: an entropy gate, a switch for each exit apart from its threshold,
  temperatures for each head, two-stage and joint training with labels, thresholds for a budget of accuracy or of
  compute, energy on Jetson boards, and results of its own that it publishes where they are against it. It takes models
  with one input tensor, whose exits are named by hand.
* To run it: `{install}`
"""


def page(result: dict[str, Any]) -> str:
    """Markdown: what was compared, a table for each batch size with where samples left, and how to read it."""
    config, machine = result["config"], result["machine"]
    head = HEAD.format(
        **{name: machine[name] for name in ("processor", "threads", "torch", "onnxruntime", "openvino", "earlyon")},
        s="" if machine["threads"] == 1 else "s",
        protocol=config["protocol"],
        seed=config["seed"],
        points=" and ".join(f"`{point}`" for point in config["points"]),
        samples=result["samples"],
    )
    same = result["same_decisions_at_batch_1"]
    said = DECISIONS.format(
        each=" and ".join(f"all {one['samples']} samples at `{point}`" for point, one in same.items()),
        distance=max(one["largest_score_difference"] for one in same.values()),
    )
    tables = []
    for size, rows in result["rows"].items():
        counts = config["sizes"][size]
        batches = counts["rounds"] * counts["batches"]
        intro = TABLE.format(size=size, batches=batches, rounds=counts["rounds"], samples=f"{batches * int(size):,}")
        tables.append(intro + _times(rows) + "\nWhere samples left:\n\n" + _left(rows, result["exits"]))
    return head + said + "".join(tables) + TAIL.format(install=INSTALL)


def _times(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| point | who | on | ms | p50 | p95 | p99 | of plain eager | of plain here | agree | unlike |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=_order(rows)):
        cells = [
            row["point"],
            row["who"],
            row["on"],
            *(_ms(row[name]) for name in ("ms", "p50", "p95", "p99")),
            *(_share(row[name], row[f"{name}_noise"]) for name in ("to_plain_eager", "to_plain_here")),
            f"{100 * row['agreement']:.1f} %",
            "" if row["unlike_offramp_eager"] is None else str(row["unlike_offramp_eager"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _share(ratio: float, noise: float) -> str:
    """In percent; with its standard error unless something is compared with itself."""
    return f"{100 * ratio:.0f} %" + (f" ± {100 * noise:.0f}" if noise else "")


def _order(rows: list[dict[str, Any]]) -> Any:
    """By operating point, in the order in which they first come, then as they were run."""
    points = list(dict.fromkeys(row["point"] for row in rows))
    return lambda row: points.index(row["point"])


def _left(rows: list[dict[str, Any]], exits: list[str]) -> str:
    """Shares at each exit that anybody used, with those who have the same ones in one line."""
    early = [row for row in sorted(rows, key=_order(rows)) if row["unlike_offramp_eager"] is not None]
    alike: dict[tuple[str, tuple[float, ...]], list[str]] = {}
    for row in early:
        alike.setdefault((row["point"], tuple(row["left"])), []).append(f"{row['who']} ({row['on']})")
    used = [e for e in range(len(exits)) if any(row["left"][e] for row in early)]
    lines = [
        f"| point | who | {' | '.join(exits[e] for e in used)} | whole model |",
        "|---|---|---|" + "---|" * len(used),
    ]
    for (point, left), who in alike.items():
        shares = [f"{100 * left[e]:.1f} %" for e in (*used, len(exits))]
        lines.append(f"| {point} | {'; '.join(who)} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"
