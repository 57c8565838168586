"""Grey pictures and pictures of other sizes, as the library takes them for this network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.faces.network import open_identifier
from benchmarks.faces.orl import PREPROCESS
from PIL import Image

import offramp
from offramp.errors import DataError
from offramp.load.models import LoadedModel


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """The identifier as the command line names it, with whatever weights it starts with."""
    return offramp.load_model(str(Path(__file__).parents[2] / "benchmarks" / "faces" / "network.py") + ":identifier")


def test_the_factory_brings_network_and_preprocessing(loaded: LoadedModel) -> None:
    assert loaded.preprocess == PREPROCESS
    with torch.no_grad():
        found = loaded.model(torch.zeros(2, 3, 112, 112))
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {"logits": (2, 20), "embedding": (2, 128)}
    with torch.no_grad():
        assert open_identifier().eval()(torch.zeros(1, 3, 112, 112))["logits"].shape == (1, 15)


def test_grey_pictures_become_three_channels_between_black_columns() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 112, 92), dtype=np.uint8)
    x = offramp.open_source(grey, PREPROCESS).inputs(np.arange(2))
    assert isinstance(x, torch.Tensor)
    mean, std = (torch.tensor(value)[:, None, None] for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    inner = torch.from_numpy(grey / 255).float()[:, None]
    torch.testing.assert_close(x[..., 10:102], (inner - mean) / std)
    torch.testing.assert_close(x[..., :10], ((0 - mean) / std).expand(2, 3, 112, 10))
    torch.testing.assert_close(x[..., 102:], ((0 - mean) / std).expand(2, 3, 112, 10))


def test_grey_files_are_read_like_arrays(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (112, 92), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "face.png")
    np.savez(tmp_path / "faces.npz", x=grey[None])
    one, other = (
        offramp.open_source(path, PREPROCESS).inputs(np.arange(1)) for path in (tmp_path, tmp_path / "faces.npz")
    )
    assert isinstance(one, torch.Tensor)
    assert isinstance(other, torch.Tensor)
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(12, 1, 112, 112), (12, 112, 112), (12, 112, 112, 3)])
def test_floats_must_have_three_channels_first(loaded: LoadedModel, tmp_path: Path, shape: tuple[int, ...]) -> None:
    said = rf"expected 3 channels on axis 1 for mean and std, got shape \({', '.join(map(str, shape))}\); give arrays"
    with pytest.raises(DataError, match=said):
        offramp.build(loaded, np.zeros(shape, np.float32), out=tmp_path / "bundle")


@pytest.mark.parametrize("size", [(96, 96), (112, 92), (128, 128)])
def test_floats_of_another_size_are_refused_before_any_work(
    loaded: LoadedModel, tmp_path: Path, size: tuple[int, int]
) -> None:
    said = rf"expected inputs that Identifier takes, got \(3, {size[0]}, {size[1]}\) float32 .* raises RuntimeError"
    with pytest.raises(DataError, match=said):
        offramp.build(loaded, np.zeros((12, 3, *size), np.float32), out=tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_pictures_of_four_subjects_are_too_few(loaded: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected samples for every part, got 4 in all and none to certify; add data"):
        offramp.build(loaded, np.zeros((4, 112, 92), np.uint8), out=tmp_path / "bundle")
