from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.ctr import Ctr

CLICK = torch.tensor([2.0, -1.0])


@pytest.mark.parametrize("output", [CLICK, CLICK[:, None], {"logits": CLICK}, SimpleNamespace(logits=CLICK), (CLICK,)])
def test_one_logit_is_that_of_the_second_of_two_classes(output: Any) -> None:
    found = reader(Ctr())(output)
    torch.testing.assert_close(found.softmax(1)[:, 1], CLICK.sigmoid())


def test_two_logits_stay_as_they_are() -> None:
    both = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert reader(Ctr())(both) is both


@pytest.mark.parametrize("output", [torch.zeros(2, 3), torch.zeros(2, 1, 1), {"scores": CLICK}, None])
def test_other_outputs_are_refused(output: Any) -> None:
    with pytest.raises(CaptureError, match=r"expected one logit per sample, \(batch,\) or \(batch, 1\)"):
        reader(Ctr())(output)


@pytest.mark.parametrize("flat", [True, False])
def test_a_model_with_one_logit_is_captured(flat: bool) -> None:
    last = [nn.Flatten(0)] if flat else []
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), *last)
    found = analyse(net, torch.randn(2, 4), reader(Ctr()))
    assert found.classes == 2
    assert [point.name for point in found.points] == ["1", "3"]
