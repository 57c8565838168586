"""The command line: parse, call, show."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from offramp import __version__
from offramp.cli import build as build_command
from offramp.cli import demo as demo_command
from offramp.cli import evaluate as evaluate_command
from offramp.cli import inspect as inspect_command
from offramp.cli import run as run_command
from offramp.errors import OfframpError

app = typer.Typer(
    help="Early exits for any pretrained PyTorch model: found, trained without labels, certified, and really taken.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=True,
)
app.command("inspect")(inspect_command.inspect)
app.command("build")(build_command.build)
app.command("evaluate")(evaluate_command.evaluate)
app.command("run")(run_command.run)
app.command("demo")(demo_command.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"offramp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Holds the options that belong to no command."""


def main() -> None:
    """Runs the command line: exit code 2 and one line on bad input, 130 on Ctrl-C."""
    try:
        app()
    except OfframpError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again to go on where it stopped", 130)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 2)


def _fail(message: str, code: int) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {_escaped(message)}")
    sys.exit(code)


def _escaped(message: str) -> str:
    return " ".join(message.split()).replace("[", r"\[")
