"""What is timed of a bundle, and on which samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from offramp import benching
from offramp.benching import LEAST, bench, drawn, precision
from offramp.bundle import Bundle
from offramp.deployed import RUNTIMES
from offramp.errors import InputError
from offramp.load.arrays import open_array
from offramp.run.executor import Executor
from offramp.sources import Source
from offramp.speed import Backend
from tests.builds import bundle, images, make


@pytest.mark.parametrize("size", [1, 7, 40, 64])
def test_rounds_have_enough_samples_in_batches_of_the_size(size: int) -> None:
    source = open_array(images(), None, None, "images")
    rounds = drawn(source, size, 4)
    assert len(rounds) == 4
    assert all(len(batch) == size for round_ in rounds for batch in round_)
    for round_ in rounds:
        assert LEAST <= size * len(round_) < LEAST + size
    again = drawn(source, size, 4)
    assert all(torch.equal(a, b) for x, y in zip(rounds, again, strict=True) for a, b in zip(x, y, strict=True))  # type: ignore[arg-type]
    assert not torch.equal(rounds[0][0], rounds[1][0])  # type: ignore[arg-type]


def _nothing(enabled: tuple[bool, ...]) -> Executor:
    raise AssertionError(enabled)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the grid would have been asked for; nothing is timed."""
    found: dict[str, Any] = {}

    def grid(backends: Sequence[Backend], points: Mapping[str, Any], *rest: Any) -> list[Any]:
        found.update(backends=backends, points=points, rounds=rest[2], promises=rest[4], threads=rest[3])
        found["torch"] = torch.get_num_threads()
        return []

    def executors(_bundle: Bundle, names: Sequence[str], *_: object) -> dict[str, Any]:
        return dict.fromkeys(names, _nothing)

    monkeypatch.setattr(benching, "grid", grid)
    monkeypatch.setattr(benching, "executors", executors)
    monkeypatch.setattr(benching, "available", lambda name: name != "openvino-bf16")
    return found


def samples_of(rounds: Mapping[int, Sequence[Sequence[torch.Tensor]]]) -> set[bytes]:
    return {row.numpy().tobytes() for some in rounds.values() for round_ in some for batch in round_ for row in batch}


def test_on_the_data_of_the_build_only_the_report_part_is_used(asked: dict[str, Any]) -> None:
    here = {row.numpy().tobytes() for row in images()[torch.from_numpy(bundle().splits["report"])]}
    bench(bundle(), open_array(images(), None, None, "images"), batch_sizes=(8, 32))
    assert list(asked["rounds"]) == [8, 32]
    assert samples_of(asked["rounds"]) <= here
    other: Source = open_array(images(50, seed=9), None, None, "other")
    bench(bundle(), other, batch_sizes=(32,))
    assert samples_of(asked["rounds"]) <= {row.numpy().tobytes() for row in images(50, seed=9)}


def test_plain_models_are_timed_on_what_is_installed_and_points_once(asked: dict[str, Any]) -> None:
    source, before = open_array(images(), None, None, "images"), torch.get_num_threads()
    bench(bundle(), source, ["onnx"], (4,), ["careful", "balanced", "full"], threads=before + 1)
    assert [(one.name, one.plain) for one in asked["backends"]] == [
        ("onnx", False),
        ("eager", True),
        *((name, True) for name in RUNTIMES if name not in ("onnx", "openvino-bf16")),
    ]
    assert list(asked["points"]) == ["full", "balanced"]  # careful means full
    balanced = bundle().point("balanced")
    assert asked["points"]["balanced"] == balanced.configuration
    assert balanced.bound is not None
    assert asked["promises"] == {"full": 0.0, "balanced": balanced.bound.epsilon}
    assert (asked["threads"], asked["torch"], torch.get_num_threads()) == (before + 1, before + 1, before)


def test_nothing_to_time_is_refused() -> None:
    source = open_array(images(), None, None, "images")
    with pytest.raises(InputError, match="at least one batch size and one back end"):
        bench(bundle(), source, [])
    with pytest.raises(InputError, match="attach"):
        bench(replace(bundle(), multi_exit=None), source)


def test_precision_is_that_of_the_weights_or_of_the_back_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert precision(bundle().live, "eager") == "f32"
    assert precision(bundle().live, "openvino-bf16") == "bf16"
    own = make(tmp_path_factory.mktemp("own") / "bundle")
    assert own.multi_exit is not None
    own.multi_exit.backbone.model.double()
    assert precision(own.live, "eager") == "f64"


def test_the_grid_of_a_real_bundle() -> None:
    rows = bench(bundle(), open_array(images(), None, None, "images"), ["eager"], (4,), ["fastest"], rounds=4)
    eager = [row for row in rows if row.backend == "eager"]
    assert [row.point for row in eager] == ["uncut", "exits-off", "fastest", "fastest, planned"]
    assert np.isfinite([row.ms for row in rows]).all()
    report = next(point for point in bundle().report if point.name == "fastest")
    assert eager[2].ideal_ratio == pytest.approx(report.cost, abs=0.2)
