"""Sizes, and what a process of its own finds about a model from a file."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp import memory_child
from offramp.errors import InputError, UnknownNameError
from offramp.exporting import export
from offramp.memory import Origin, grid, size_of, size_of_files
from offramp.memory_child import Arrays, Request, in_child, read_batch, write_batch
from tests import builds

MB = 1_000_000

NETS = """
import torch
from torch import nn

print("loading")


def net():
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10))


def heavy():
    made = net()
    made.register_buffer("held", torch.ones(25_000_000))
    return made


def broken():
    raise RuntimeError("the factory is broken")
"""


def test_the_size_is_that_of_parameters_and_buffers_each_once() -> None:
    shared = nn.Linear(3, 2)  # 8 floats
    norm = nn.BatchNorm1d(2)  # 4 parameters and 4 buffers of single precision, and a counter of 8 bytes
    assert size_of(nn.Sequential(shared, norm, shared)) == 4 * 8 + 4 * 8 + 8
    assert size_of(shared, shared) == size_of(shared) == 32
    assert size_of(nn.Linear(3, 2).double()) == 64
    assert size_of() == 0


@pytest.mark.parametrize(
    "batch",
    [
        np.ones((2, 3), np.float32),
        (np.ones((2, 3), np.float32), np.arange(2)),
        {"input_ids": np.arange(6).reshape(2, 3), "attention_mask": np.ones((2, 3), np.int64)},
        {"arr_0": np.ones(1)},
    ],
)
def test_a_batch_comes_back_from_its_file(batch: Arrays, tmp_path: Path) -> None:
    found = read_batch(write_batch(tmp_path / "batch.npz", batch))
    assert type(found) is type(batch)
    if isinstance(batch, dict):
        assert isinstance(found, dict)
        assert list(found) == list(batch)
        found, batch = tuple(found.values()), tuple(batch.values())
    for one, other in zip(found, batch, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> Request:
    folder = tmp_path_factory.mktemp("child")
    (folder / "nets.py").write_text(NETS)
    batches = tuple(write_batch(folder / f"{size}.npz", np.ones((size, 16), np.float32)) for size in (8, 4))
    return Request("eager", "uncut", str(folder), batches, 1, f"{folder / 'nets.py'}:net")


def test_a_process_of_its_own_sees_what_is_loaded_and_what_is_allocated(request_: Request) -> None:
    light, heavy = in_child(request_), in_child(replace(request_, model=str(request_.model).replace(":net", ":heavy")))
    assert light.allocated == heavy.allocated == 12 * 4 * (64 + 64 + 10)
    for found in (light, heavy):
        assert 20 * MB < found.imported <= found.loaded <= found.peak
    assert 90 * MB < (heavy.loaded - heavy.imported) - (light.loaded - light.imported) < 120 * MB
    assert heavy.peak - light.peak > 80 * MB


def test_what_goes_wrong_in_the_process_is_said(request_: Request) -> None:
    with pytest.raises(InputError, match=r"could not measure the plain model on eager.*the factory is broken"):
        in_child(replace(request_, model=str(request_.model).replace(":net", ":broken")))
    with pytest.raises(InputError, match=r"could not measure the point fast on onnx.*routing\.json"):
        in_child(replace(request_, backend="onnx", point="fast"))


def test_exported_stages_are_measured_where_torch_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    routing = export(builds.bundle(), tmp_path / "stages", ["fastest"])
    assert size_of_files(tmp_path / "stages", routing, "uncut") == (tmp_path / "stages" / "uncut-0.onnx").stat().st_size
    stages = sum(file.stat().st_size for file in (tmp_path / "stages").glob("cut0-*.onnx"))
    (point,) = routing.points
    assert size_of_files(tmp_path / "stages", routing, point) == stages
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    batch = write_batch(tmp_path / "batch.npz", builds.images(8).numpy())
    for name in ("uncut", point):
        found = in_child(Request("onnx", name, str(tmp_path / "stages"), (batch,), 1))
        assert found.allocated is None
        assert found.imported < found.loaded <= found.peak
    with pytest.raises(InputError, match="ended with code 1, last saying 'torch was imported'"):
        in_child(Request("eager", "uncut", str(tmp_path), (batch,), 1, "nets.py:net"))


def test_points_ask_only_their_own_exits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The processes are left out; what they are asked is kept."""
    bundle, asked = builds.bundle(), []
    live = bundle.multi_exit
    assert live is not None

    def found(request: Request) -> memory_child.Resident:
        asked.append(request)
        return memory_child.Resident(1, 2, 3, 40)

    monkeypatch.setattr("offramp.memory.in_child", found)
    batches: dict[int, Sequence[torch.Tensor]] = {4: [builds.images(4)] * 2, 1: [builds.images(1)]}
    rows = grid(bundle, Origin(tmp_path, "nets.py:net"), ["eager"], ["fastest", "fastest"], batches, tmp_path)
    name = bundle.point("fastest").name
    assert [(row.batch, row.point) for row in rows] == [(4, "uncut"), (4, name), (1, "uncut"), (1, name)]
    assert [row.allocated_bytes_per_sample for row in rows] == [5, 5, 40, 40]
    enabled = bundle.point("fastest").configuration.enabled
    assert sum(enabled) > 0
    heads = sum(size_of(live.heads[index]) for index, on in enumerate(enabled) if on)
    assert [row.head_bytes for row in rows] == [0, heads, 0, heads]
    assert {row.model_bytes for row in rows} == {size_of(live.backbone.model)}
    assert [len(request.batches) for request in asked] == [2, 2, 1, 1]
    assert np.array_equal(np.asarray(read_batch(asked[0].batches[1])), builds.images(4).numpy())


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    bundle, origin = builds.bundle(), Origin(tmp_path, "nets.py:net")
    with pytest.raises(UnknownNameError, match=r"back end.*eager, onnx, openvino.*; got 'cuda-graphs'"):
        grid(bundle, origin, ["cuda-graphs"], [], {}, tmp_path)
    with pytest.raises(InputError, match="call attach"):
        grid(replace(bundle, multi_exit=None), origin, ["eager"], [], {}, tmp_path)
