import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from offramp import __version__
from tests.cli.world import World, check_refused, command, finished, offramp, process, ran, refused

COMMANDS = ("inspect", "quantise", "build", "evaluate", "run", "demo")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_each_example_on_its_own_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = offramp(name, "--help")
    assert result.code == 0
    examples = [line for line in result.out.splitlines() if re.match(rf"\s*offramp {name} ", line)]
    assert examples
    assert max(map(len, result.out.splitlines())) <= 80
    for line in examples:
        assert any(flag in line for flag in ("--data", "--input", "--out", "timm:"))
    assert "Examples: offramp" not in result.out


@pytest.mark.parametrize("name", ["inspect", "build", "evaluate"])
def test_what_prints_figures_also_prints_json(name: str) -> None:
    assert "--json" in offramp(name, "--help").out


def test_the_version() -> None:
    assert offramp("--version").out == f"offramp {__version__}\n"


def test_nothing_shows_the_help() -> None:
    result = offramp()
    assert result.code == 2
    assert all(name in result.out for name in COMMANDS)
    assert result.err == ""


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (["bild"], ["No such command 'bild'", "see offramp --help"]),
        (["build"], ["Missing argument 'MODEL'", "see offramp build --help"]),
        (["inspect", "m", "--nope"], ["No such option: --nope", "see offramp inspect --help"]),
        (["inspect", "[bold]m"], "[bold]m"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], saying: str | list[str]) -> None:
    refused(*arguments, saying=saying)


def test_the_module_and_the_script_are_the_same_command(world: World) -> None:
    script = Path(sys.executable).with_name("offramp")
    arguments = ["inspect", *world.net, "--input", "1x2x8x8"]
    for called in ([str(script), *arguments], command(*arguments)):
        if not Path(called[0]).exists():
            pytest.skip("the package is not installed with its script")
        done = subprocess.run(called, capture_output=True, text=True, check=False)
        check_refused(ran(done.returncode, done.stdout, done.stderr), ["Net takes, got (2, 8, 8) float32"])


def test_ctrl_c_while_torch_is_being_imported_is_one_line(tmp_path: Path) -> None:
    """The interrupt comes from within the first import of torch."""
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    result = finished(process("inspect", "m", PYTHONPATH=str(tmp_path)))
    assert (result.code, result.err, result.out) == (130, "error: interrupted", "")


def test_a_reader_that_leaves_is_no_error(world: World) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.Popen(
        command("inspect", *world.net, "--input", "1x3x8x8"), stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert finished(done).err == ""
    assert done.returncode not in (0, -signal.SIGPIPE)


def test_a_terminal_without_unicode_shows_question_marks(world: World) -> None:
    result = finished(process("inspect", *world.net, "--input", "1x3x8x8", PYTHONIOENCODING="ascii"))
    assert result.code == 0
    assert "b3.2" in result.out
    assert result.err == ""


def test_figures_are_imported_only_when_drawn(world: World) -> None:
    script = (
        "import sys; from offramp.cli.app import main; "
        f"code = main({['inspect', *world.net, '--input', '1x3x8x8']!r}); "
        "sys.exit(code or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
