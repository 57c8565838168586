"""Operating points chosen anew by seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offramp import tune as tuning
from offramp.bundle import Bundle
from offramp.errors import DataError, InputError, UnknownNameError
from offramp.load.arrays import open_array
from offramp.run.executor import Executor
from offramp.sources import Source
from offramp.split import PARTS
from offramp.tune import measured, mixed, tune
from offramp.types import CostProfile
from tests.builds import RECIPE, SAMPLES, bundle, images, make
from tests.toys import CNN, untouched

Measure = Callable[[CostProfile], None]


def source(seed: int = 1) -> Source:
    return open_array(images(seed=seed), None, None, "images")


@pytest.fixture
def seconds_are(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Instead of measuring, each batch size gets this profile."""

    def use(profile: CostProfile) -> None:
        def fake(_make: object, _of: object, _source: object, mix: Mapping[int, float], *_: object) -> Any:
            return [replace(profile, batch_size=size) for size in mix]

        monkeypatch.setattr(tuning, "measured", fake)

    return use


def like_macs(built: Bundle) -> CostProfile:
    """Seconds in proportion to MACs, by a power of two so that not even rounding differs."""
    macs = built.cost
    return CostProfile("s", macs.upto / 2**30, macs.head / 2**30, macs.gate, "abacus")


def test_where_seconds_are_in_proportion_to_macs_nothing_changes(seconds_are: Measure) -> None:
    seconds_are(like_macs(bundle()))
    found = tune(bundle(), source(), batch_mix={1: 0.5, 8: 0.5})
    assert found.points == bundle().points
    assert found.report == bundle().report
    assert found.manifest.aliases == bundle().manifest.aliases


def exits_of(found: Bundle) -> set[int]:
    return {e for point in found.points for e, on in enumerate(point.configuration.enabled) if on}


def test_exits_whose_heads_are_dear_are_given_up(seconds_are: Measure) -> None:
    """All but one head take a third of the backbone's time; then all do, and then ten times that of the backbone."""
    plain = like_macs(bundle())
    assert len(exits_of(bundle())) > 1
    for kept in sorted(exits_of(bundle()))[:2]:
        head = np.where(np.arange(7) == kept, plain.head, plain.backbone / 3)
        seconds_are(replace(plain, head=np.append(head[:-1], 0.0)))
        assert exits_of(tune(bundle(), source())) == {kept}
    seconds_are(replace(plain, head=np.append(np.full(6, 10 * plain.backbone), 0.0)))
    found = tune(bundle(), source())
    assert [point.name for point in found.points] == ["full"]
    assert found.manifest.aliases["balanced"] == "full"
    assert exits_of(found) == set()


def test_of_two_batch_sizes_the_one_with_the_larger_share_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = like_macs(bundle())
    dear = replace(plain, head=np.append(np.full(6, 10 * plain.backbone), 0.0))
    monkeypatch.setattr(tuning, "measured", lambda *_: [replace(dear, batch_size=1), replace(plain, batch_size=32)])
    assert exits_of(tune(bundle(), source(), batch_mix={1: 1e-6, 32: 1.0})) == exits_of(bundle())
    assert exits_of(tune(bundle(), source(), batch_mix={1: 1.0, 32: 1e-6})) == set()


@pytest.fixture(scope="module")
def found() -> Bundle:
    """Measured in earnest, on two batch sizes."""
    model = bundle().multi_exit
    assert model is not None
    with untouched(model.backbone.model):
        return tune(bundle(), source(), batch_mix={2: 1.0, 16: 3.0}, rounds=3)


def test_a_tuned_bundle_is_saved_loaded_and_attached(found: Bundle, tmp_path: Path) -> None:
    inputs, before = images(20, seed=3), torch.get_num_threads()
    loaded = Bundle.load(found.save(tmp_path / "tuned"))
    assert loaded.manifest.model_dump_json() == found.manifest.model_dump_json()
    live = loaded.use("full", CNN.model())
    for point in found.points:
        mine, read = found.use(point.name)(inputs), live.use(point.name)(inputs)
        torch.testing.assert_close(read.output, mine.output, rtol=0, atol=0)
    assert torch.get_num_threads() == before


def test_heads_calibration_and_parts_stay(found: Bundle) -> None:
    torch.testing.assert_close(dict(found.heads), dict(bundle().heads), rtol=0, atol=0)
    assert found.manifest.exits == bundle().manifest.exits
    assert found.manifest.goal == bundle().manifest.goal
    assert all(np.array_equal(found.splits[part], bundle().splits[part]) for part in PARTS)
    assert "tuned" not in bundle().manifest.provenance
    assert found.manifest.provenance == {**bundle().manifest.provenance, "tuned": "eager, 1 thread"}


def test_profiles_in_seconds_are_kept_with_the_name_of_the_back_end(found: Bundle) -> None:
    macs, *seconds = found.costs
    assert macs.unit == "macs"
    np.testing.assert_array_equal(macs.upto, bundle().cost.upto)
    np.testing.assert_array_equal(macs.head, bundle().cost.head)
    assert [(one.unit, one.batch_size, one.device) for one in seconds] == [
        ("s", 2, "eager, 1 thread"),
        ("s", 16, "eager, 1 thread"),
    ]
    assert all(0 < one.backbone < 1 for one in seconds)


def test_every_point_is_certified_on_the_certify_part(found: Bundle) -> None:
    assert found.point("full").bound is not None
    for point in found.points:
        assert point.bound is not None
        assert point.bound.n == len(found.splits["certify"])
        assert (point.bound.risk, point.bound.delta) == ("disagreement", 0.1)
    for name in ("balanced", "fast", "fastest"):
        assert found.point(name) in found.points
    balanced = found.point("balanced").bound
    assert balanced is not None
    assert balanced.epsilon <= 0.1 * (1 + 1e-9)


@pytest.mark.parametrize("part", ["choose", "report"])
def test_figures_are_in_macs_and_those_of_running_the_points(part: str, seconds_are: Measure) -> None:
    """With seconds that are not MACs at all: the last segment takes nearly all the time."""
    plain = like_macs(bundle())
    seconds_are(replace(plain, upto=np.where(np.arange(7) < 6, plain.upto / 100, plain.backbone)))
    found = tune(bundle(), source())
    here = images()[torch.from_numpy(found.splits[part])]
    assert len(found.points) > 2
    for point in found.points if part == "choose" else found.report:
        outcome = found.use(point.name)(here)
        spent = found.cost.leaving(np.array(point.configuration.enabled))[outcome.exit_index.numpy()]
        assert point.cost == pytest.approx(spent.mean() / found.cost.backbone, abs=1.0 / len(here))
        assert point.split == part
    for point in found.points:
        if point.name.startswith("cost"):
            assert point.name.partition("-")[0] == f"cost{100 * point.cost:.0f}"


def test_with_labels_the_risk_stays_error(tmp_path: Path, seconds_are: Measure) -> None:
    labels = np.arange(SAMPLES) % 5
    labelled = replace(RECIPE, regime="disjoint")
    built = make(tmp_path / "a", data=(images(), labels), labels=True, recipe=labelled)
    seconds_are(like_macs(built))
    found = tune(built, open_array(images(), labels, None, "images"))
    assert found.points == built.points
    assert {point.bound.risk for point in found.points if point.bound} == {"error"}


def test_the_guarantee_of_the_build_stays(seconds_are: Measure) -> None:
    """And where an older bundle names none, it is the default."""
    seconds_are(like_macs(bundle()))
    noted = bundle().manifest.provenance
    for provenance, delta in (
        (noted, 0.1),
        ({**noted, "guarantee": "crc"}, None),
        ({name: value for name, value in noted.items() if name != "guarantee"}, 0.1),
    ):
        built = replace(bundle(), manifest=bundle().manifest.model_copy(update={"provenance": provenance}))
        assert {point.bound.delta for point in tune(built, source()).points if point.bound} == {delta}


def test_what_cannot_be_tuned_is_refused_before_the_backbone_runs(tmp_path: Path) -> None:
    told: list[object] = []

    def refused(error: type[Exception], saying: str, *given: Any, **options: Any) -> None:
        with pytest.raises(error, match=saying):
            tune(*given, **options, progress=lambda *said: told.append(said))

    refused(DataError, "expected the data of the build, Tensor, .* got images", bundle(), source(seed=2))
    refused(InputError, "attach", replace(bundle(), multi_exit=None), source())
    for mix in ({0: 1.0}, {1: 0.0}, {1: -1.0}, {1: float("nan")}, {1: float("inf"), 2: 1.0}):
        refused(InputError, "positive shares", bundle(), source(), batch_mix=mix)
    refused(UnknownNameError, "back end", bundle(), source(), "tpu")
    refused(InputError, "CUDA", bundle(), source(), "cuda-graphs")
    assert told == []


def profile(size: int, upto: Sequence[float], head: Sequence[float]) -> CostProfile:
    return CostProfile("s", np.array(upto), np.array([*head, 0.0]), np.zeros(len(upto)), "abacus", size)


def test_a_mix_is_the_mean_over_the_samples() -> None:
    found = mixed([profile(1, [1.0, 8.0], [2.0]), profile(32, [2.0, 4.0], [1.0])], {32: 3.0, 1: 1.0})
    assert found.upto.tolist() == [1.75, 5.0]
    assert found.head.tolist() == [1.25, 0.0]
    assert (found.unit, found.device) == ("s", "abacus")
    alone = profile(4, [1.0, 8.0], [2.0])
    assert mixed([alone], {4: 0.3}).upto == pytest.approx(alone.upto)


def test_each_batch_size_is_measured_on_batches_of_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[torch.Tensor]] = []

    def seconds(_make: object, point_of: Sequence[int], rounds: list[torch.Tensor], device: str) -> CostProfile:
        seen.append(rounds)
        assert point_of == (0, 1)
        return replace(profile(len(rounds[0]), [1.0, 2.0, 3.0], [0.0, 0.0]), device=device)

    def make(enabled: tuple[bool, ...]) -> Executor:
        raise AssertionError(enabled)

    monkeypatch.setattr(tuning, "seconds", seconds)
    told: list[tuple[str, int, int]] = []
    found = measured(make, (0, 1), source(), {4: 1.0, 1: 2.0}, "onnx", 2, 5, lambda *said: told.append(said))
    assert [(one.batch_size, one.device) for one in found] == [(4, "onnx, 2 threads"), (1, "onnx, 2 threads")]
    assert [[len(batch) for batch in rounds] for rounds in seen] == [[4] * 5, [1] * 5]
    assert told == [("timing onnx", 1, 2), ("timing onnx", 2, 2)]
    everything = images()
    assert all((everything == row).flatten(1).all(1).any() for rounds in seen for batch in rounds for row in batch)
