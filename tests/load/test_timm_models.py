from pathlib import Path
from typing import Any

import pytest
import timm
import timm.data
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from offramp.errors import InputError, UnknownNameError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import load_model
from offramp.load.timm_models import timm_preprocess

from .conftest import picture


def test_preprocesses_as_timm_does() -> None:
    loaded = load_model("timm:test_resnet.r160_in1k")
    config = timm.data.resolve_data_config(pretrained_cfg=loaded.model.pretrained_cfg)
    theirs: Any = timm.data.create_transform(**config)
    assert isinstance(loaded.preprocess, ImagePreprocess)
    for seed, (width, height) in enumerate([(200, 300), (301, 207), (160, 160)]):
        image = picture(seed, width, height)
        assert_close(loaded.preprocess(image), theirs(image))
    assert loaded.model(loaded.preprocess.batch([image])).shape == (1, 1000)


@pytest.mark.parametrize("crop_pct", [0.9, 1.0])
@pytest.mark.parametrize(
    ("crop_mode", "input_size"), [("center", (3, 24, 24)), ("squash", (3, 24, 20)), ("center", (1, 24, 24))]
)
def test_every_transform_that_is_not_refused_is_timms(
    crop_mode: str, input_size: tuple[int, ...], crop_pct: float
) -> None:
    channels = input_size[0]
    config = {
        "input_size": input_size, "crop_mode": crop_mode, "crop_pct": crop_pct, "interpolation": "bicubic",
        "mean": (0.4,) * channels, "std": (0.2,) * channels,
    }  # fmt: skip
    ours, theirs = timm_preprocess(config), timm.data.create_transform(**config)
    image = picture(0, 50, 41).convert("L" if channels == 1 else "RGB")
    assert ours is not None
    assert_close(ours(image), theirs(image))


@pytest.mark.parametrize("change", [{"crop_mode": "border"}, {"input_size": (3, 24, 20)}, {"input_size": (6, 24, 24)}])
def test_transforms_that_differ_are_left_out(change: dict[str, Any]) -> None:
    config = {
        "input_size": (3, 24, 24),
        "crop_mode": "center",
        "crop_pct": 0.9,
        "mean": (0.4,),
        "std": (0.2,),
    }
    assert timm_preprocess({**config, "interpolation": "bicubic", **change}) is None


def test_weights_bring_their_classes(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", num_classes=7).eval()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    loaded = load_model("timm:test_resnet", tmp_path / "w.safetensors").model
    images = torch.rand(2, 3, 160, 160)
    assert_close(loaded(images), source(images))


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"expected the weights of ResNet; .* lacks .* and has unknown"):
        load_model("timm:test_resnet", tmp_path / "w.safetensors")


def test_an_unknown_name_gets_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"expected a timm model, got 'resnet_18'; near it: .*resnet18"):
        load_model("timm:resnet_18")


def test_an_unknown_tag_gets_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"tag of resnet18 among .*a1_in1k.*; got 'a9_in1k'"):
        load_model("timm:resnet18.a9_in1k")


def test_the_hub_is_not_asked() -> None:
    with pytest.raises(UnknownNameError, match=r"expected a timm model"):
        load_model("timm:hf-hub:timm/resnet18.a1_in1k")
