"""The result of the zoo as a page of the docs."""

from collections.abc import Sequence

from benchmarks.zoo.check import Row

HEAD = """# Which models can be left

Made by `python -m benchmarks.zoo benchmarks/zoo/config.json` (`make zoo`): random weights, each model as its library
builds it, with the statistics of its batch norms from a batch and noise where parameters start near zero (untrained,
many models answer every input alike, and a mistake would not show). *points*: places where it can be left; *carries*:
some of them carry other values along (a mask, the skips of a U-Net). *exact*: cut in four, the model gives the same
bits as whole at batch 8, 3, 2 and 1 (a dash: not the same bits, since the model runs fused kernels that a cut
unfolds). *error*: the largest at these batch sizes and when the batch shrinks from 8 to 3, 2 and 1 on the way,
relative to the largest value; at most 1e-4 is asked, and answers to different samples lie at least 1e-3 apart. Weights,
buffers, hooks, modes and attributes were compared before and after.

"""


def table(rows: Sequence[Row]) -> str:
    """Markdown: a summary, a row for each model, and the refusals with their reasons."""
    good = [row for row in rows if row.route in ("export", "hooks") and row.error <= 1e-4 and row.untouched]
    routes = {route: sum(row.route == route for row in rows) for route in ("export", "hooks", "refused", "failed")}
    lines = [
        f"**{len(good)} of {len(rows)}** models can be left ({100 * len(good) / len(rows):.1f} %): "
        f"{routes['export']} by their graph, {routes['hooks']} by hooks; "
        f"{routes['refused']} are refused, {routes['failed']} failed.\n",
        "| model | route | points | carries | exact | error | untouched | seconds |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
    ]
    refused = [f"* `{row.name}`: {row.reason}" for row in rows if row.reason]
    return HEAD + "\n".join(lines) + "\n" + ("\n## Refused\n\n" + "\n".join(refused) + "\n" if refused else "")


def _line(row: Row) -> str:
    if row.route in ("refused", "failed"):
        return f"| {row.name} | {row.route} | | | | | {'yes' if row.untouched else '**no**'} | {row.seconds:.0f} |"
    cells = (
        row.name,
        row.route,
        str(row.points),
        "yes" if row.carried else "",
        "yes" if row.exact else "-",
        f"{row.error:.0e}",
        "yes" if row.untouched else "**no**",
        f"{row.seconds:.0f}",
    )
    return f"| {' | '.join(cells)} |"
