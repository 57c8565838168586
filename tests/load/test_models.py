from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from offramp.errors import InputError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import load_model

FACTORY = """
import torch

def plain():
    return torch.nn.Linear(2, 3)

def prepared():
    model = torch.nn.Linear(2, 3)
    model.preprocess = {"size": 8, "mean": 0.5}
    return model

def number():
    return 3
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "made.py").write_text(FACTORY)
    return str(tmp_path / "made.py")


def test_loads_a_factory_in_eval_mode(file: str) -> None:
    loaded = load_model(f"{file}:plain")
    assert isinstance(loaded.model, nn.Linear)
    assert not loaded.model.training
    assert loaded.spec == f"{file}:plain"
    assert loaded.preprocess is None


def test_takes_the_models_preprocessing_unless_given(file: str) -> None:
    assert load_model(f"{file}:prepared").preprocess == ImagePreprocess(size=(8, 8), mean=(0.5,))
    given = load_model(f"{file}:prepared", preprocess={"size": 9})
    assert given.preprocess == ImagePreprocess(size=(9, 9))


def test_fills_a_factorys_model(file: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, tmp_path / "w.pt")
    model = load_model(f"{file}:plain", tmp_path / "w.pt").model
    assert_close(model(torch.ones(1, 2)), torch.full((1, 3), 2.0))


def test_a_factory_must_return_a_module(file: str) -> None:
    with pytest.raises(InputError, match=r"made.py:number' to return a torch.nn.Module, got int; return the model"):
        load_model(f"{file}:number")


@pytest.mark.parametrize("spec", ["resnet18", "tim:resnet18", "timm:", "", "model.pt"])
def test_other_forms_are_refused(spec: str) -> None:
    with pytest.raises(InputError, match=r"expected a model as timm:NAME, .* or FILE.py:FACTORY; got"):
        load_model(spec)


def test_a_near_prefix_is_suggested() -> None:
    with pytest.raises(InputError, match=r"did you mean torchvision:resnet18\?"):
        load_model("torchvison:resnet18")
