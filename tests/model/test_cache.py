import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offramp.errors import DataError, InputError
from offramp.heads.reduction import Global, Grid, Reduction
from offramp.inputs import Inputs, leaves, mask_of, select
from offramp.load.sources import open_source
from offramp.model.augment import Augment
from offramp.model.cache import ORIGINAL, FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from tests.reference import runtime
from tests.sources import Drawn
from tests.toys import CNN, MLP, NAMES, TEXT, Toy, live, logits_of, untouched

WANTED: list[tuple[str, Reduction]] = [("layer1.0", Grid(4)), ("layer1.0", Global()), ("layer2.0", Grid(2))]


def cnn_pass(model: nn.Module | None = None, batch_size: int = 4, dtype: str = "float32") -> Pass:
    model = model or CNN.model()
    return Pass(model, logits_of, WANTED, model_fingerprint(model), batch_size, dtype)


def equal(one: FeatureCache, other: FeatureCache) -> None:
    np.testing.assert_array_equal(one.logits, other.logits)
    assert one.features.keys() == other.features.keys()
    for key in one.features:
        np.testing.assert_array_equal(one.features[key], other.features[key])
    assert (one.samples, one.split) == (other.samples, other.split)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_rows_are_what_each_sample_does_alone(name: str, tmp_path: Path) -> None:
    model, toy = live(name).backbone.model, NAMES[name]
    wanted = live(name).wanted()
    made = Pass(model, logits_of, wanted, "me", batch_size=4).run(Drawn.of(toy, 7), tmp_path / "c", split="choose")
    assert (made.samples, made.split, len(made.logits)) == (7, "choose", 7)
    reductions = {(point, red.name): red for point, red in wanted}
    for index in range(7):
        sample = select(toy.inputs(7), torch.tensor([index]))
        seen, output = runtime.features(model, [point for point, _ in wanted], sample)
        torch.testing.assert_close(torch.from_numpy(made.logits[index]), logits_of(output)[0], rtol=1e-4, atol=1e-5)
        for key, red in reductions.items():
            found = torch.from_numpy(made.features[key][index])
            torch.testing.assert_close(found, red(seen[key[0]], mask_of(sample))[0], rtol=1e-4, atol=1e-5)


class InPlace(nn.Module):
    """Changes its inputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(0.5).flatten(1)[:, :5]


def test_what_the_users_model_says_is_kept_beside_its_copy(tmp_path: Path) -> None:
    drawn, plain = Drawn.of(CNN, 7), cnn_pass().run(Drawn.of(CNN, 7), tmp_path / "a", split="choose")
    both = replace(cnn_pass(), original=InPlace()).run(drawn, tmp_path / "b", split="choose")
    said = torch.from_numpy(both.features.pop(ORIGINAL))
    torch.testing.assert_close(said, 0.5 * CNN.inputs(7, 1).flatten(1)[:, :5])  # type: ignore[union-attr]
    equal(plain, both)


@settings(deadline=None, max_examples=8)
@given(after=st.integers(0, 20), save_every=st.integers(1, 5))
def test_an_interrupted_pass_ends_with_the_same_bytes(
    after: int, save_every: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    made, augment = cnn_pass(), Augment(copies=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offramp.model.cache.SAVE_EVERY", save_every)
        straight = made.run(Drawn.of(CNN, 25), folder / "a", split="train", augment=augment)
        broken = Drawn.of(CNN, 25)
        broken.fail_after = after
        with pytest.raises(InterruptedError):
            made.run(broken, folder / "b", split="train", augment=augment)
        again = Drawn.of(CNN, 25)
        resumed = made.run(again, folder / "b", split="train", augment=augment)
    equal(straight, resumed)
    assert files(folder / "a") == files(folder / "b")
    assert len(again.reads) == 21 - after // save_every * save_every


def test_a_finished_pass_is_not_made_again(tmp_path: Path) -> None:
    first = cnn_pass().run(Drawn.of(CNN, 9), tmp_path / "c", split="choose")
    source = Drawn.of(CNN, 9)
    equal(first, cnn_pass().run(source, tmp_path / "c", split="choose"))
    assert source.reads == []


@pytest.mark.parametrize("what", ["model", "data", "wanted", "split", "augment", "seed", "dtype"])
def test_a_cache_of_anything_else_is_made_anew(what: str, tmp_path: Path) -> None:
    cnn_pass().run(Drawn.of(CNN, 9), tmp_path / "c", split="choose", augment=Augment(1))
    made = cnn_pass(CNN.model(seed=1) if what == "model" else None, dtype="float16" if what == "dtype" else "float32")
    if what == "wanted":
        made = Pass(made.model, logits_of, WANTED[:1], made.identity, 4)
    source = Drawn.of(CNN, 9, seed=2 if what == "data" else 1)
    arguments = {
        "split": "report" if what == "split" else "choose",
        "augment": Augment(2) if what == "augment" else Augment(1),
        "seed": 1 if what == "seed" else 0,
    }
    found = made.run(source, tmp_path / "c", **arguments)  # type: ignore[arg-type]
    assert source.reads
    equal(found, made.run(Drawn(source.values), tmp_path / "fresh", **arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["note", "array", "missing", "garbage"])
def test_a_damaged_cache_is_made_anew(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    first = cnn_pass().run(Drawn.of(CNN, 9), folder, split="choose")
    expected = first.logits.copy()
    if damage == "note":
        (folder / "progress.json").write_text('{"identity": ')
    elif damage == "garbage":
        (folder / "progress.json").write_text(json.dumps([1, 2]))
    elif damage == "array":
        (folder / "1.npy").write_bytes((folder / "1.npy").read_bytes()[:200])
    else:
        (folder / "0.npy").unlink()
    source = Drawn.of(CNN, 9)
    np.testing.assert_array_equal(cnn_pass().run(source, folder, split="choose").logits, expected)
    assert source.reads


def test_copies_are_the_backbone_on_augmented_samples(tmp_path: Path) -> None:
    model = CNN.model()
    made = cnn_pass(model, batch_size=3).run(
        Drawn.of(CNN, 5), tmp_path / "c", split="train", augment=Augment(copies=2), seed=4
    )
    assert (made.samples, len(made.logits)) == (5, 15)
    row = 0
    for copy in range(3):
        for start in (0, 3):
            images = CNN.inputs(5)
            assert isinstance(images, torch.Tensor)
            images = images[start : start + 3]
            if copy:
                entropy = np.random.SeedSequence([4, copy, start]).generate_state(1, np.uint64)[0]
                changed = Augment(copies=2)(images, torch.Generator().manual_seed(int(entropy >> 1)))
                assert isinstance(changed, torch.Tensor)
                images = changed
            with torch.no_grad():
                expected = model(images).numpy()
            np.testing.assert_array_equal(made.logits[row : row + len(images)], expected)
            row += len(images)
    assert not np.array_equal(made.logits[5:10], made.logits[10:])


def test_half_precision_features_and_single_precision_logits(tmp_path: Path) -> None:
    half = cnn_pass(dtype="float16").run(Drawn.of(CNN, 6), tmp_path / "half", split="train")
    full = cnn_pass().run(Drawn.of(CNN, 6), tmp_path / "full", split="train")
    assert {array.dtype for array in half.features.values()} == {np.dtype(np.float16)}
    np.testing.assert_array_equal(half.logits, full.logits)
    for key, array in full.features.items():
        np.testing.assert_allclose(half.features[key], array, rtol=1e-3, atol=1e-3)


def test_a_pass_in_half_precision_is_near_and_is_taken_for_no_other(tmp_path: Path) -> None:
    model, source = CNN.model(), Drawn.of(CNN, 40, 1)
    passes = Pass(model, logits_of, [], "me", 16)
    whole = passes.run(source, tmp_path, split="train").logits.copy()
    with untouched(model):
        half = replace(passes, half=True).run(source, tmp_path, split="train").logits.copy()
    assert 0.0 < np.abs(half - whole).max() < 0.05 * np.abs(whole).max()
    np.testing.assert_array_equal(passes.run(source, tmp_path, split="train").logits, whole)


class Blurred(Drawn):
    """Makes its pictures by a convolution."""

    def inputs(self, indices: np.ndarray) -> Inputs:
        found = torch.nn.functional.avg_pool2d(super().inputs(indices), 3, 1, 1)  # type: ignore[arg-type]
        made = torch.nn.functional.conv2d(found, torch.eye(3)[:, :, None, None])
        assert made.numpy().dtype == np.float32
        return made


def test_pictures_are_made_and_features_kept_as_usual_beside_half_precision(
    tmp_path: Path,
) -> None:
    model = CNN.model()
    passes = replace(cnn_pass(model), half=True)
    kept = passes.run(Blurred.of(CNN, 12, 1), tmp_path / "half", split="train")
    usual = cnn_pass(model).run(Blurred.of(CNN, 12, 1), tmp_path / "usual", split="train")
    for key, feature in usual.features.items():
        np.testing.assert_allclose(kept.features[key], feature, atol=0.05 * np.abs(feature).max())


def test_activations_too_large_for_half_precision_are_cut_off(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(1e7)
    source = Drawn(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    made = Pass(model, logits_of, [("0", Global())], "me", dtype="float16").run(source, tmp_path / "c", split="train")
    assert np.isfinite(made.features["0", "global"]).all()
    assert np.abs(made.features["0", "global"]).max() > 6e4


class Onwards(nn.Module):
    """A residual MLP whose second block works on the first one's output in place."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(x)
        x += torch.relu(self.two(x)) + 1.0
        logits: torch.Tensor = self.last(x)
        return logits


@pytest.mark.parametrize("reduction", [Grid(4), Global()])
def test_features_are_kept_as_they_were_when_they_left_the_module(reduction: Grid | Global, tmp_path: Path) -> None:
    model = Onwards().eval()
    drawn = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    made = Pass(model, logits_of, [("one", reduction)], "me").run(Drawn(drawn), tmp_path / "c", split="train")
    with torch.no_grad():
        expected = model.one(drawn).numpy()
    np.testing.assert_allclose(made.features["one", reduction.name], expected, rtol=1e-6, atol=1e-7)


def test_inputs_that_are_not_finite_are_refused_by_number(tmp_path: Path) -> None:
    images = CNN.inputs(10)
    assert isinstance(images, torch.Tensor)
    images[6, 1, 2, 3] = float("nan")
    with pytest.raises(DataError, match="in pictures, got NaN or infinity in sample 6; clean or drop it"):
        cnn_pass().run(Drawn(images, "pictures"), tmp_path / "c", split="choose")


class Overflowing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.two(self.one(x))
        return torch.where(x[:, :1] > 2.0, logits / 0.0, logits)


def test_numbers_beyond_a_table_are_refused_with_what_came(tmp_path: Path) -> None:
    model, ids = TEXT.model(), {name: one.repeat(4, 1) for name, one in _named(TEXT.inputs(2)).items()}
    ids["input_ids"][5, 0] = 10_000
    source = open_source(ids)
    with pytest.raises(DataError, match=r"got input_ids \(\d+,\) int64, .* in the samples from 4 on, .*out of range"):
        Pass(model, logits_of, [], "text", batch_size=2).run(source, tmp_path / "c", split="train")


def _named(inputs: Inputs) -> dict[str, torch.Tensor]:
    assert isinstance(inputs, dict)
    return inputs


def test_outputs_that_are_not_finite_are_refused_near_the_sample(tmp_path: Path) -> None:
    drawn = torch.zeros(10, 8)
    drawn[9, 0] = 3.0
    model = Overflowing().train()
    with untouched(model), pytest.raises(DataError, match="from the backbone near sample 8"):
        Pass(model, logits_of, [("one", Global())], "me", 4).run(Drawn(drawn), tmp_path / "c", split="choose")


def test_an_empty_source_and_ragged_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected samples in split 'choose', got none"):
        cnn_pass().run(Drawn(torch.zeros(0, 3, 12, 12)), tmp_path / "c", split="choose")

    class Ragged(Drawn):
        def inputs(self, indices: np.ndarray) -> torch.Tensor:
            size = 12 if indices[0] == 0 else 16
            return torch.zeros(len(indices), 3, size, size)

    made = Pass(CNN.model(), logits_of, [("layer1.0", Grid(16))], "me", 4)
    with pytest.raises(InputError, match="expected features of one size"):
        made.run(Ragged(torch.zeros(8, 1)), tmp_path / "d", split="choose")


@pytest.mark.parametrize("toy", [CNN, MLP, TEXT])
def test_the_model_is_left_alone_whatever_happens(toy: Toy, tmp_path: Path) -> None:
    model = toy.model().train()
    points = {"cnn": "layer1.0", "mlp": "2", "text": "layers.0"}
    made = Pass(model, logits_of, [(points[toy.name], Global())], "me", 4)
    with untouched(model):
        made.run(Drawn.of(toy, 9), tmp_path / "a", split="choose")
    broken = Drawn.of(toy, 9)
    broken.fail_after = 1
    with untouched(model), pytest.raises(InterruptedError):
        made.run(broken, tmp_path / "b", split="choose")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with untouched(model), pytest.raises(KeyboardInterrupt):
        made.run(Drawn.of(toy, 9), tmp_path / "c", split="choose", progress=stop)
    assert all(tensor.grad is None for tensor in leaves(toy.inputs(2)))


def test_progress_is_told_after_every_batch(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cnn_pass().run(
        Drawn.of(CNN, 9),
        tmp_path / "c",
        split="choose",
        augment=Augment(1),
        progress=lambda *now: told.append(now),
    )
    assert [done for _, done, _ in told] == [4, 8, 9, 13, 17, 18]
    assert {(stage, total) for stage, _, total in told} == {("backbone over choose", 18)}


FULL_DISK = """
import resource, sys, torch
from torch import nn
from offramp.heads.reduction import Global
from offramp.load.arrays import open_array
from offramp.model.cache import Pass
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
model = nn.Sequential(nn.Linear(4, 64), nn.Linear(64, 3))
try:
    Pass(model, lambda y: y, [("0", Global())], "me").run(
        open_array(torch.zeros(5000, 4), None, None, "zeros"), __import__("pathlib").Path(sys.argv[1]), split="train"
    )
except OSError as error:
    print(error)
"""


def test_a_full_disk_is_an_error_before_the_pass_and_no_crash(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "c")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot reserve 1 MiB for features: File too large; free space or choose another folder" in done.stdout
