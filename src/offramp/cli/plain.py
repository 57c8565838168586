"""The one form of tables for people."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 1000
"""Characters that a table may take."""


def plain_table(title: str, columns: Iterable[str], caption: str) -> Table:
    """An empty table without frames: the first column to the left, numbers to the right."""
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def show_table(table: Table) -> None:
    """Prints a table whole, in lines that go on where a terminal or a log is too narrow for what may not be wrapped."""
    console = Console(soft_wrap=True)
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), table)
    stiff = all(column.no_wrap for column in table.columns)
    console.width = max(console.width, needed.maximum if stiff else needed.minimum)
    console.print(table)
