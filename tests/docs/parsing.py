"""Checks commands without running them: names, options and values are parsed for real, files of the project exist."""

import argparse
import importlib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Never

import pytest
import typer
import yaml
from benchmarks import torchvision_shim

from offramp import recipes, tasks
from offramp.backends import NAMES as BACK_ENDS
from offramp.cli.commands import app
from offramp.cli.options import shares_of, sizes_of
from offramp.decide import guarantees
from offramp.method_config import MethodConfig
from offramp.split import Shares
from tests.docs.blocks import ROOT


class ParsedError(Exception):
    """A command line was parsed, and its command would begin to work."""


def check(words: Sequence[str]) -> None:
    """Nothing, where a command could be run as far as can be known; what is wrong with it else."""
    assert words[0] in PROGRAMS, f"expected a program among {', '.join(PROGRAMS)}, got {words[0]!r}; teach {__file__}"
    own = [word for word in words if re.match(r"(benchmarks|docs|src|tests)/", word)]
    missing = [word for word in own if not (ROOT / word.partition(":")[0]).exists()]
    assert not missing, f"expected files of the project, found no {', '.join(missing)}"
    PROGRAMS[words[0]](words[1:])


def offramp(words: Sequence[str]) -> dict[str, Any]:
    """What the arguments of `offramp` mean, by their names."""
    command: Any = typer.main.get_command(app)
    arguments, name, context = list(words), "offramp", None
    while True:
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "commands"):
            break
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    for option, values in VALUES.items():
        if context.params.get(option):
            values(context.params[option])
    if name == "tune":
        shares_of("--batch-sizes", context.params["batch_sizes"])
    elif "batch_sizes" in context.params:
        sizes_of("--batch-sizes", context.params["batch_sizes"])
    if name == "methods" and str(context.params["config"]).startswith("benchmarks/"):
        MethodConfig.read(ROOT / context.params["config"])
    return dict(context.params)


def _among(known: Sequence[str]) -> Callable[[str], None]:
    def values(said: str) -> None:
        unknown = [one for one in said.split(",") if one not in known]
        assert not unknown, f"expected names among {', '.join(known)}, got {', '.join(unknown)}"

    return values


VALUES: dict[str, Callable[[str], Any]] = {
    "backend": _among(BACK_ENDS),
    "backends": _among(BACK_ENDS),
    "format": _among(("onnx", "openvino")),
    "guarantee": _among(list(guarantees.NAMES)),
    "mode": _among(("latency", "throughput")),
    "recipe": _among(list(recipes.NAMES)),
    "split": Shares.parse,
    "task": tasks.task,
}
"""What is said by a string and looked up later."""


def python(words: Sequence[str]) -> None:
    """A script of the project, or a module of the package or the benchmarks with its arguments."""
    if words[0] != "-m":
        assert (ROOT / words[0]).is_file(), f"expected a script of the project, got {words[0]}"
        return
    if words[1] == "offramp":
        offramp(words[2:])
        return
    assert words[1].startswith("benchmarks."), f"expected a module of the benchmarks, got {words[1]}"
    torchvision_shim.install()
    folder = (ROOT / words[1].replace(".", "/")).is_dir()
    module = importlib.import_module(f"{words[1]}.__main__" if folder else words[1])
    real = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *arguments: Any) -> Never:
        real(parser, *arguments)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words[1:]))
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(ParsedError):
            module.main()


def make(words: Sequence[str]) -> None:
    """A target of the Makefile."""
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(rules), f"expected targets among {', '.join(rules)}, got {' '.join(words)}"


def pip(words: Sequence[str]) -> None:
    """An installation of the package with extras that it has, or of others."""
    assert words[0] == "install"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words:
        for asked in re.findall(r"^(?:offramp|\.)\[(.*)\]$", word):
            assert set(asked.split(",")) <= set(extras), f"expected extras among {', '.join(extras)}, got {asked}"


def curl(words: Sequence[str]) -> None:
    """A request to a route that the server has, with a body that is JSON."""
    [url] = [word for word in words if word.startswith(("localhost", "http"))]
    path = re.sub(r"^(http://)?(localhost|127\.0\.0\.1)(:\d+)?", "", url)
    models = ("/(infer|infer_stream|ready|config|points|active|rollback|versions/.+)", "")
    known = ("/v2/models/[^/]+" + more for more in models)
    assert any(re.fullmatch(one, path) for one in [*known, *ROUTES]), f"expected a route of the server, got {path}"
    for flag, value in pairwise(words):
        if flag in ("-d", "--data"):
            json.loads(value)


ROUTES = ("/", "/v2", "/v2/health/(live|ready)", "/v2/repository/index", "/v2/repository/models/[^/]+/load", "/metrics")


def foreign(words: Sequence[str]) -> None:
    """A program that is not ours: nothing is known but the files that it names, which were looked for."""
    assert words


PROGRAMS: dict[str, Callable[[Sequence[str]], Any]] = {
    "curl": curl,
    "docker": foreign,
    "kubectl": foreign,
    "make": make,
    "offramp": offramp,
    "pip": pip,
    "python": python,
    "serve": foreign,  # Ray's
    "source": foreign,
    "tritonserver": foreign,
}


def helped() -> list[str]:
    """The examples in the help of every command."""
    found: set[str] = set()
    waiting: list[Any] = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        lines = (line.strip() for line in (command.help or "").splitlines())
        found |= {line for line in lines if line.startswith(("offramp ", "python "))}
    return sorted(found)


READERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
"""What reads a block that is no code."""
