"""Runs the blocks of a page from top to bottom, in one folder and one namespace, as a reader would."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from offramp.cli.app import main
from tests.docs import parsing
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.shell import Command, commands

ANYTHING = "…"
"""A line of shown output that stands for any lines, none included."""


class Reader:
    """Who types a page into a shell and an interpreter.

    A server that a page starts is left running until the next one is, or the page ends; it gets a port of its own.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.said = ""
        self.url = ""
        self._printed = ""
        self._server: subprocess.Popen[str] | None = None

    def read(self, page: Path) -> None:
        """Runs what is to be run, and checks what is to be parsed."""
        with self._ended():
            for block in blocks(page):
                self._one(block)

    def _one(self, block: Block) -> None:
        if block.duty == "executed" and block.language == "python":
            code = block.text.replace("http://localhost:8000", self.url or "http://localhost:8000")
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile("\n" * block.line + code, block.where, "exec"), self.names)
            self._printed = said.getvalue()
            self.said += self._printed
        elif block.duty == "printed":
            shown = tuple(block.text.splitlines())
            assert alike(shown, self._printed.splitlines()), f"{block.where}: Python said\n{self._printed}"
        elif block.duty == "executed":
            for command in commands(block):
                self._typed(command, block)
        else:
            check(block)

    def _typed(self, command: Command, block: Block) -> None:
        words = list(command.words)
        if words[:2] == ["offramp", "serve"]:
            said = self._serve(words)
        elif words[0] == "offramp":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                code = main(words[1:])
            said = out.getvalue()
            assert code == 0, f"{block.where}: {' '.join(words)} ended with {code}"
        else:
            said = self._foreign(words, block)
        self.said += said
        if command.output is not None:
            assert alike(command.output, said.splitlines()), f"{block.where}: {' '.join(words)} said\n{said}"

    def _foreign(self, words: list[str], block: Block) -> str:
        """What a program beside offramp says: curl, asking our server, or a script of the project."""
        assert words[0] in ("curl", "python"), f"{block.where}: expected a marker `parsed only` above {words[0]}"
        if words[0] == "python":
            words = [sys.executable, str(ROOT / words[1]), *words[2:]]
        else:
            words = [re.sub(r"^(http://)?localhost:8000", self.url, word) for word in words]
            words[1:1] = ["--silent", "--show-error", "--fail-with-body"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{block.where}: {' '.join(words)} said {done.stdout}{done.stderr}"
        return done.stdout.rstrip("\n") + "\n"

    def _serve(self, words: list[str]) -> str:
        """Starts a server; its first line."""
        self._stop()
        command = [sys.executable, "-m", *words, *([] if "--port" in words else ["--port", "0"])]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line.startswith("serving "), f"{' '.join(words)} said {line!r}"
        self.url = line.split()[-1]
        return line

    def _stop(self) -> None:
        """SIGTERM ends a server in order."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
            if server.stdout is not None:
                server.stdout.close()

    @contextlib.contextmanager
    def _ended(self) -> Iterator[None]:
        try:
            yield
            self._stop()
        finally:
            if self._server is not None:
                self._server.kill()


def check(block: Block) -> None:
    """What can be said of a block without running it."""
    if block.duty == "parsed" and block.language == "python":
        compile(block.text, block.where, "exec")
    elif block.duty == "parsed":
        for command in commands(block):
            parsing.check(command.words)
    elif block.duty == "elsewhere":
        assert block.page.name in (ROOT / block.told).read_text(), (
            f"{block.where}: {block.told} does not name this page"
        )
    elif block.duty == "read":
        parsing.READERS[block.language](block.text)
    elif block.duty == "shown":
        hidden = re.findall(r"^ *(?:\$ )?(?:offramp|python|pip|curl|make) .*", block.text, re.MULTILINE)
        assert not hidden, f"{block.where}: expected `sh` for commands, got `{block.language}`: {hidden[0]}"


def alike(shown: tuple[str, ...], said: list[str]) -> bool:
    """Whether the shown lines are those that were said, but for numbers and spaces."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == ANYTHING else re.escape(plain(line)) + r"\n" for line in shown)
    return (
        re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in said if line.strip() or "" in shown)) is not None
    )


def plain(line: str) -> str:
    """A line without its numbers, which may also be missing from a table, and without what only the terminal decides.

    >>> plain("│ fast  │ 0.25 % │ ███ │ 3±1 │")
    'fast #'
    """
    drawn = line.translate(dict.fromkeys(map(ord, "│┃█"), " "))
    text = re.sub(r"[-+]?\d(?:[\d,.]*\d)?", "#", re.sub("[─━┄]+", "─", drawn))
    return " ".join(re.sub(r"#[#±% ]*", "# ", text).split())


def environment() -> dict[str, str]:
    """That of a child: our package, whatever is installed, and one thread."""
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
