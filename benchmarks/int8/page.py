"""The page of the docs that shows INT8 and exits side by side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def page(result: Mapping[str, Any], config: Path) -> str:
    """Markdown from the result of the config at `config`."""
    runs, told = result["runs"], result["config"]
    return f"""\
# INT8 and exits: accuracy

ResNet-56 on CIFAR-10, {runs[0]["samples"]} images of the report part, mean ± standard deviation over
{len(told["seeds"])} splits. The network is quantised by NNCF on {told["samples"]} unlabelled training images; the exits
of each precision are trained (recipe `{told["recipe"]}`), calibrated, chosen and certified on its own features.
Exported stages ran on the back end
named; *cost* is the mean share of MACs, *agreement* that with the uncut model of the same precision.

<!-- parsed only: takes hours -->
```sh
python -m benchmarks.int8 {config}
```

{chr(10).join(_table(result["summary"]))}

How much time it takes is on the page [speed](speed.md). Machine: {_machine(result["machine"])}.
"""


def _table(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "| network, back end | point | accuracy, % | agreement, % | cost, % |"
    yield "| --- | --- | --- | --- | --- |"
    for name, points in summary.items():
        for point, figures in points.items():
            cells = (_spread(figures[figure]) for figure in ("accuracy", "agreement", "cost"))
            yield f"| {name} | {point} | {' | '.join(cells)} |"


def _spread(found: Mapping[str, float]) -> str:
    return f"{100 * found['mean']:.2f} ± {100 * found['sd']:.2f}"


def _machine(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value)
