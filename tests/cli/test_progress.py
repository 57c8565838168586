import io

import pytest

from offramp.cli.progress import bars


class Terminal(io.StringIO):
    """A standard error that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_where_nobody_watches_a_stage_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as progress:
        for done in range(1, 4):
            progress("backbone over train", done, 3)
        progress("training heads", 1, 2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "backbone over train: done (3)\n"


def test_a_terminal_shows_a_bar_per_stage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with bars() as progress:
        for stage in ("backbone over train", "backbone over train", "training heads"):
            for done in range(1, 4):
                progress(stage, done, 3)
    shown = terminal.getvalue()
    last = shown[shown.rfind("\x1b[2K") :]
    assert last.count("backbone over train") == 2
    assert last.count("3/3") == 3
    assert capsys.readouterr().out == ""


def test_bars_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with bars(show=False) as progress:
        progress("training heads", 1, 1)
    assert terminal.getvalue() == ""


def test_the_cursor_comes_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    def interrupted() -> None:
        with bars() as progress:
            progress("training heads", 1, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")
