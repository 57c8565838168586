from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.multilabel import Multilabel

LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("output", [LOGITS, {"logits": LOGITS}, SimpleNamespace(logits=LOGITS), (LOGITS, None)])
def test_finds_the_logits(output: Any) -> None:
    assert reader(Multilabel())(output) is LOGITS


def test_one_label_is_a_column() -> None:
    assert reader(Multilabel())(LOGITS[:, 0]).shape == (4, 1)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    assert analyse(net, torch.randn(2, 4), reader(Multilabel())).classes == 1


@pytest.mark.parametrize("output", [torch.zeros(2, 3, 4), torch.zeros(2, 3).long(), {"scores": LOGITS}, (), None])
def test_other_outputs_are_refused(output: Any) -> None:
    with pytest.raises(CaptureError, match=r"expected logits of shape \(batch, labels\)"):
        reader(Multilabel())(output)
