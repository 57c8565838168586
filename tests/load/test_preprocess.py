import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from offramp.errors import BundleError, DataError, InputError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.preprocess import (
    CallablePreprocess,
    Preprocess,
    as_preprocess,
    preprocess_from_manifest,
    required,
)
from offramp.load.tokens import TokenPreprocess


def brightness(image: Image.Image) -> torch.Tensor:
    return torch.tensor([float(np.asarray(image).mean())])


@pytest.mark.parametrize(
    "preprocess",
    [
        ImagePreprocess(),
        ImagePreprocess((224, 200), (256, 255), crop=True, mean=(0.1, 0.2, 0.3), std=(1.0,), interpolation="bicubic"),
        ImagePreprocess(resize=5, scale=1.0, channels=1),
        TokenPreprocess("some/name", 17),
    ],
)
def test_survives_json(preprocess: Preprocess) -> None:
    assert preprocess_from_manifest(json.loads(json.dumps(preprocess.to_manifest()))) == preprocess


def test_dicts_may_be_short() -> None:
    assert as_preprocess({"size": 32, "mean": 0.5, "std": [0.5, 0.5, 0.5]}, "here") == ImagePreprocess(
        size=(32, 32), mean=(0.5,), std=(0.5, 0.5, 0.5)
    )
    assert as_preprocess({"size": 32, "resize": 40}, "here") == ImagePreprocess((32, 32), 40, crop=True)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected preprocessing from m.py:f with any of size, .*; got 'average'"):
        as_preprocess({"average": 1}, "m.py:f")


def test_other_types_are_refused() -> None:
    with pytest.raises(InputError, match=r"as a dict, ImagePreprocess or function, got int"):
        as_preprocess(3, "m.py:f")


def test_functions_are_recorded_by_name_only() -> None:
    preprocess = as_preprocess(brightness, "here")
    manifest = json.loads(json.dumps(preprocess.to_manifest()))
    assert manifest == {"kind": "callable", "name": "brightness"}
    with pytest.raises(InputError, match=r"function 'brightness', which a bundle records by name only; pass it"):
        preprocess_from_manifest(manifest)
    assert preprocess_from_manifest(manifest, given=preprocess) is preprocess


def test_functions_see_pictures() -> None:
    batch = CallablePreprocess(brightness, "b").batch(np.full((2, 4, 4, 3), 7, np.uint8))
    assert isinstance(batch, torch.Tensor)
    assert_close(batch, torch.full((2, 1), 7.0))


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"kind": "sound"},
        {"kind": "image", "colour": 1},
        {"kind": "tokens"},
        {"kind": "image", "channels": 9},
    ],
)
def test_damaged_records_are_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"expected (a record of )?preprocessing"):
        preprocess_from_manifest(manifest)


def test_missing_preprocessing_names_the_remedy() -> None:
    with pytest.raises(
        DataError, match=r"for the pictures in x.tar, the model brings none; give --mean, --std and --size"
    ):
        required(None, "pictures", "x.tar")
