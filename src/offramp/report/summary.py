"""A report as Markdown, for the page of a pull request or a job of CI."""

from offramp.findings import Findings
from offramp.report.sections import Rows, origins, points, times, verdict


def summary(found: Findings) -> str:
    """The verdict, the operating points, times where they were measured, and where it all comes from."""
    title = f"# Early exits of {found.bundle.manifest.model.spec or found.bundle.manifest.model.type}"
    parts = [title, verdict(found), "## Operating points", table(points(found))]
    if found.speed:
        parts += ["## Time", table(times(found))]
    parts += ["## Provenance", table(origins(found))]
    return "\n\n".join(parts) + "\n"


def table(rows: Rows) -> str:
    r"""A table in Markdown; the row that is shown closely is bold.

    >>> print(table(Rows(("a", "b"), (("1", "x|y"), ("2", "")), marked=1)))
    | a | b |
    | --- | --- |
    | 1 | x\|y |
    | **2** |  |
    """
    lines = [_line(rows.head), _line(["---"] * len(rows.head))]
    for number, row in enumerate(rows.body):
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in row]
        lines.append(_line([f"**{cell}**" if number == rows.marked and cell else cell for cell in cells]))
    return "\n".join(lines)


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
