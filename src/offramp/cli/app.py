"""The entry of the command line: what goes wrong becomes one line on standard error and an exit code."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console

from offramp.errors import OfframpError

BAD_INPUT, CRASH, INTERRUPTED, BROKEN_PIPE = 2, 1, 130, 141

TRACEBACK = "OFFRAMP_TRACEBACK"
"""Environment variable: where it is set, an unexpected error shows where it came from."""

_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class StoppedError(Exception):
    """Ctrl-C in a command that has something to say about it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line: 2 on bad input, 130 on Ctrl-C, 1 on what nobody expected."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? instead of failing
    try:
        from offramp.cli.commands import app  # not above: importing torch takes seconds, in which Ctrl-C may come

        code = app(args=arguments, prog_name="offramp", standalone_mode=False)
        sys.stdout.flush()
    except _UsageError as error:
        return _misused(error)
    except OfframpError as error:
        return _failed(str(error), BAD_INPUT)
    except (StoppedError, KeyboardInterrupt) as error:
        return _failed(str(error) or "interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; Python would flush once more
        return BROKEN_PIPE
    except OSError as error:
        return _failed(_described(error), BAD_INPUT)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        return _failed(
            f"unexpected {type(error).__name__}: {error}; it comes from the model's own code or is a bug of offramp: "
            f"set {TRACEBACK}=1 to see where",
            CRASH,
        )
    return _failed("interrupted", INTERRUPTED) if code == INTERRUPTED else int(code or 0)


def _misused(error: Any) -> int:
    """A command line that does not parse; without arguments the help has been shown already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return BAD_INPUT
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    return _failed(error.format_message().rstrip(".") + hint, BAD_INPUT)


def _described(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT) and "free space" not in str(error)
    return f"{error.strerror or error}{where}{'; free space or choose another folder' if full else ''}"


def _failed(message: str, code: int) -> int:
    one_line = " ".join(message.split()).replace("[", r"\[")
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {one_line}")
    return code
