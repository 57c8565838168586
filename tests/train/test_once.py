from pathlib import Path

import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.gates.jei import Jei
from offramp.train.once import once

GATE = Jei(((0.1, -2.5, 1 / 3, 4.0, 0.0),))


def heads() -> nn.ModuleList:
    return nn.ModuleList([nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))])


@pytest.mark.parametrize("gate", [GATE, None])
def test_the_second_time_heads_and_gate_are_those_of_the_first_to_the_last_bit(
    gate: Jei | None, tmp_path: Path
) -> None:
    first, second = heads(), heads()
    calls: list[int] = []

    def teach() -> Jei | None:
        calls.append(len(calls))
        first.train()
        with torch.no_grad():
            for parameter in first.parameters():
                parameter.add_(1 / 3)
        return gate

    taught = once(first, tmp_path / "a", teach)
    again = once(second, tmp_path / "a", teach)
    assert (taught, taught.gate, calls) == (again, gate, [0])
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert not any(part.training for both in (first, second) for part in both.modules())
    once(second, tmp_path / "b", teach)
    assert calls == [0, 1]


def test_a_training_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(heads(), tmp_path / "a", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"damaged")
    with pytest.raises(InputError, match="delete it to train anew"):
        once(heads(), tmp_path / "a", lambda: None)
