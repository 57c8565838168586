"""The commands: parse, call, show."""

from typing import Annotated

import typer

from offramp import __version__
from offramp.cli.advise import advise
from offramp.cli.analyze import analyze
from offramp.cli.bench import speed
from offramp.cli.bench_memory import memory
from offramp.cli.bench_methods import methods
from offramp.cli.build import build
from offramp.cli.cite import cite
from offramp.cli.demo import demo
from offramp.cli.evaluate import evaluate
from offramp.cli.export import export
from offramp.cli.inspect import inspect
from offramp.cli.quantise import quantise
from offramp.cli.refit import refit
from offramp.cli.report import report
from offramp.cli.run import run
from offramp.cli.serve import serve
from offramp.cli.tune import tune
from offramp.cli.validate import validate

app = typer.Typer(
    help="Early exits for any pretrained PyTorch model: found, trained without labels, certified, and really taken.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=True,
)
for command in (
    inspect,
    advise,
    quantise,
    build,
    evaluate,
    report,
    analyze,
    validate,
    tune,
    run,
    export,
    serve,
    refit,
    cite,
    demo,
):
    app.command(command.__name__)(command)
bench = typer.Typer(help="Measurements.", no_args_is_help=True)
for measure in (speed, memory, methods):
    bench.command(measure.__name__)(measure)
app.add_typer(bench, name="bench")


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"offramp {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Holds the options that belong to no command."""
