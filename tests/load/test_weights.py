import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from offramp.errors import InputError
from offramp.load.weights import load_state, load_weights, save_weights


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("nest", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_torch_files(tmp_path: Path, nest: Any, prefix: str) -> None:
    state = network().state_dict()
    torch.save(nest({prefix + name: tensor for name, tensor in state.items()}), tmp_path / "w.pth")
    assert_close(dict(load_state(tmp_path / "w.pth")), dict(state))


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_reads_safetensors_by_content(tmp_path: Path, name: str) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / name)
    assert_close(dict(load_state(tmp_path / name)), dict(state))


def test_keeps_version_marks_below_a_prefix(tmp_path: Path) -> None:
    torch.save(nn.DataParallel(network()).state_dict(), tmp_path / "w.pth")
    state: Any = load_state(tmp_path / "w.pth")
    assert state._metadata["1"]["version"] == 2


def test_fills_the_model(tmp_path: Path) -> None:
    source, target = network(), network()
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_weights(target, tmp_path / "w.pth")
    assert_close(target.state_dict(), source.state_dict())


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Bomb()}, tmp_path / "w.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("w.pth", "old.pth"):
        with pytest.raises(InputError, match=rf"nothing but tensors, .*{name}.* holds code"):
            load_state(tmp_path / name)


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"save model.state_dict\(\)"):
        load_state(tmp_path / "w.pth")


def test_a_pickle_named_safetensors_is_refused(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"expected safetensors in .*, got a torch pickle; rename it to .pt"):
        load_state(tmp_path / "w.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"expected .*{name}") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a weights file at '.*none.pth', got no such file"):
        load_state(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a state dict in .*, got list"),
        ({}, "expected a state dict"),
        ({"a": torch.ones(1), "lr": 0.1}, "expected tensors only in .*, got float under 'lr'"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        load_state(tmp_path / "w.pth")


def test_foreign_names_are_listed(tmp_path: Path) -> None:
    state = {f"layer.{i}": torch.ones(1) for i in range(5)}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"lacks 0.weight, 0.bias, 1.weight and 3 more and has unknown layer.0"):
        load_weights(network(), tmp_path / "w.pth")


def test_foreign_shapes_are_listed(tmp_path: Path) -> None:
    state = network().state_dict() | {"0.weight": torch.ones(4, 2)}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"has 0.weight \(4, 2\) for \(3, 2\); build the model with the sizes"):
        load_weights(network(), tmp_path / "w.pth")


def test_a_header_whose_length_looks_like_a_pickle_is_safetensors(tmp_path: Path) -> None:
    """Its length ends in 0x80, the first byte of every pickle."""
    state = {f"layer{index}": torch.full((2,), float(index)) for index in range(3)}
    for padding in range(300):
        save_file(state, tmp_path / "w.safetensors", metadata={"note": "x" * padding})
        if (tmp_path / "w.safetensors").read_bytes()[0] == 0x80:
            break
    assert (tmp_path / "w.safetensors").read_bytes().startswith(b"\x80")
    torch.testing.assert_close(load_state(tmp_path / "w.safetensors"), state)


def test_writes_what_it_reads_also_where_tensors_share_memory(tmp_path: Path) -> None:
    model = network()
    model.register_parameter("tied", model[0].weight)  # type: ignore[index]
    save_weights(model, tmp_path / "new" / "w.safetensors")
    assert_close(dict(load_state(tmp_path / "new" / "w.safetensors")), dict(model.state_dict()))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.safetensors"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*w\.safetensors"):
        save_weights(network(), tmp_path / "w.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
