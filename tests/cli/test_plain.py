import pytest
from rich.table import Table

from offramp.cli.plain import plain_table, show_table


def test_a_table_is_whole_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    table = plain_table("a title", ["alternative", "accu-\nracy, %", "drop, points"], "")
    table.add_row("resnet20 > resnet56", "93.47", "-0.13 ± 0.35")
    show_table(table)
    said = capsys.readouterr().out
    for words in ("alternative", "racy, %", "drop, points", "resnet20 > resnet56", "93.47", "-0.13 ± 0.35"):
        assert words in said


def test_what_may_be_wrapped_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    table = Table("what", "where")
    table.add_row("words that go on and on for more than thirty letters", "here")
    show_table(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 30
