import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.train.average import averaged
from offramp.train.checkpoint import Checkpoint


def state(path: Path | None, width: int = 2) -> tuple[nn.ModuleList, Checkpoint]:
    layers = nn.ModuleList([nn.Linear(width, 2), nn.Linear(2, 2)])
    optimizer = torch.optim.AdamW(layers.parameters(), lr=0.1)
    return layers, Checkpoint(layers, averaged(layers, 0.0), optimizer, path)


def fill(kept: Checkpoint, value: float, mean: float | None = None) -> None:
    """Every weight `value`, and every averaged one `mean` (default: the same)."""
    with torch.no_grad():
        for layers, filling in ((kept.heads, value), (kept.averaged.module, value if mean is None else mean)):
            for layer in layers.children():
                assert isinstance(layer, nn.Linear)
                layer.weight.fill_(filling)


def values(layer: nn.Module) -> list[float]:
    assert isinstance(layer, nn.Linear)
    return sorted(set(layer.weight.flatten().tolist()))


def test_each_head_keeps_its_own_best() -> None:
    layers, kept = state(None)
    for value, losses in ((1.0, [3.0, 5.0]), (2.0, [4.0, 4.0]), (3.0, [2.0, 6.0]), (4.0, [2.0, 4.0])):
        fill(kept, -1.0, value)
        kept.note(losses)
    assert (kept.epoch, kept.stale, kept.best) == (4, 1, [2.0, 4.0])
    kept.restore_best()
    assert values(layers[0]) == [3.0]
    assert values(layers[1]) == [2.0]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    _, kept = state(tmp_path / "c")
    fill(kept, 1.0)
    kept.note([1.0, 1.0])
    fill(kept, 2.0, 2.5)
    kept.note([2.0, 0.5])
    again, read = state(tmp_path / "c")
    assert (read.epoch, read.stale, read.best) == (2, 0, [1.0, 0.5])
    assert [values(layer) for layer in again] == [[2.0], [2.0]]
    assert [values(layer) for layer in read.averaged.module.children()] == [[2.5], [2.5]]
    read.restore_best()
    assert [values(layer) for layer in again] == [[1.0], [2.5]]


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


@pytest.mark.parametrize("damage", ["cut", "code", "other", "empty"])
def test_a_damaged_checkpoint_is_refused_and_runs_no_code(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    _, kept = state(path)
    kept.note([1.0, 1.0])
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "code":
        torch.save({"epoch": Trap(tmp_path / "trapped")}, path)
    elif damage == "other":
        torch.save({"epoch": 1}, path)
    else:
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot go on from the checkpoint .*; delete it to train anew"):
        state(path)
    assert not (tmp_path / "trapped").exists()


def test_a_checkpoint_of_other_heads_is_refused(tmp_path: Path) -> None:
    _, kept = state(tmp_path / "c")
    kept.note([1.0, 1.0])
    with pytest.raises(InputError, match="cannot go on from the checkpoint"):
        state(tmp_path / "c", width=3)


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from torch import nn
from offramp.train.average import averaged
from offramp.train.checkpoint import Checkpoint
heads = nn.ModuleList([nn.Linear(200, 200)])
state = Checkpoint(heads, averaged(heads, 0.9), torch.optim.AdamW(heads.parameters()), None)
state.path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    state.note([1.0])
except OSError as error:
    print(error)
"""


def test_a_full_disk_is_a_clear_error_and_spares_the_earlier_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"earlier")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert path.read_bytes() == b"earlier"
