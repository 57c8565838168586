import subprocess
import sys
from pathlib import Path

import pytest

from offramp.run import resident
from offramp.run.resident import peak

MB = 1_000_000
FRESH = """
import sys
from offramp.run.resident import peak
before = peak()
{}
print(before, peak(), "torch" in sys.modules)
"""


def fresh(statement: str) -> tuple[int, int]:
    """The peak of a fresh process before and after a statement."""
    done = subprocess.run([sys.executable, "-c", FRESH.format(statement)], check=True, capture_output=True, text=True)
    before, after, torch = done.stdout.split()
    assert torch == "False"
    return int(before), int(after)


def test_a_buffer_that_is_held_is_seen_and_stays_seen_when_it_is_freed() -> None:
    before, after = fresh("pass")
    assert 0 <= after - before < 10 * MB
    before, after = fresh("b'1' * 80_000_000")
    assert 79 * MB < after - before < 90 * MB


def test_the_peak_of_the_process_that_started_it_does_not_count() -> None:
    held = b"1" * (150 * MB)
    assert peak() > len(held)
    assert fresh("pass")[1] < 100 * MB


def test_other_systems_state_it_in_units_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = peak()
    monkeypatch.setattr(resident, "STATUS", tmp_path / "none")
    assert 0.9 * found < peak() < 100 * found
    kib = peak()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak() == pytest.approx(kib / 1024, rel=0.1)
