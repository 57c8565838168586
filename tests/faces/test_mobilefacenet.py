from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.faces.mobilefacenet import SETTING, MobileFaceNet, pretrained, renamed
from benchmarks.faces.orl import PREPROCESS, Faces
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from offramp.errors import InputError

State = dict[str, torch.Tensor]


def norm(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    """Batch norm by its formula."""
    mean, var, scale, shift = (
        state[f"{name}.{part}"].reshape(-1, *[1] * (x.ndim - 2))
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift


def layer_by_layer(state: State, x: torch.Tensor) -> torch.Tensor:
    """The paper's table 1 written out over the published names, without modules."""

    def conv(x: torch.Tensor, name: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        kernel = state[f"{name}.weight"]
        groups = kernel.shape[0] if kernel.shape[1] == 1 else 1
        return F.conv2d(x, kernel, stride=stride, padding=padding, groups=groups)

    x = F.relu6(norm(conv(x, "conv1.0", 2, 1), state, "conv1.1"))
    x = F.relu(norm(conv(x, "dw_conv.depthwise", 1, 1), state, "dw_conv.bn1"))
    x = F.relu(norm(conv(x, "dw_conv.pointwise"), state, "dw_conv.bn2"))
    strides = [stride if first == 0 else 1 for _, _, count, stride in SETTING for first in range(count)]
    for index, stride in enumerate(strides):
        at = f"features.{index}.conv"
        y = F.relu6(norm(conv(x, f"{at}.0.0"), state, f"{at}.0.1"))
        y = F.relu6(norm(conv(y, f"{at}.1.0", stride, 1), state, f"{at}.1.1"))
        y = norm(conv(y, f"{at}.2"), state, f"{at}.3")
        x = x + y if x.shape == y.shape else y
    x = F.relu6(norm(conv(x, "conv2.0"), state, "conv2.1"))
    x = norm(conv(x, "gdconv.depthwise"), state, "gdconv.bn")
    return norm(conv(x, "conv3").flatten(1) + state["conv3.bias"], state, "bn")


def test_the_published_weights_give_what_they_give_layer_by_layer(orl: Faces, weights: Path) -> None:
    state = torch.load(weights, map_location="cpu", weights_only=True)
    x = PREPROCESS.batch(orl.pictures[::50])
    with torch.no_grad():
        torch.testing.assert_close(pretrained(weights)(x), layer_by_layer(state, x), rtol=1e-4, atol=1e-3)


def test_every_published_tensor_has_its_place(weights: Path) -> None:
    state = torch.load(weights, map_location="cpu", weights_only=True)
    names = [renamed(name) for name in state]
    assert len(set(names)) == len(names)
    MobileFaceNet().load_state_dict({renamed(name): tensor for name, tensor in state.items()}, strict=True)


def test_pairs_of_one_subject_are_closer_than_others(orl: Faces, weights: Path) -> None:
    model = pretrained(weights)
    with torch.no_grad():
        unit = F.normalize(torch.cat([model(PREPROCESS.batch(part)) for part in np.array_split(orl.pictures, 4)]))
    first, second = np.triu_indices(len(orl), 1)
    cosine = (unit @ unit.T).numpy()[first, second]
    assert roc_auc_score(orl.subject[first] == orl.subject[second], cosine) > 0.97


def test_it_is_of_the_size_that_the_paper_says() -> None:
    """About a million parameters, 4.0 MB (table 1 and section 4.2), whatever the activations."""
    parameters = sum(weight.numel() for weight in MobileFaceNet().parameters())
    assert 0.95e6 < parameters < 1.05e6


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    state = MobileFaceNet().state_dict()
    del state["project.bias"]
    torch.save(state, tmp_path / "short.pt")
    with pytest.raises(InputError, match=r"lacks project\.bias"):
        pretrained(tmp_path / "short.pt")
