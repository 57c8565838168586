from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.regression import Regression

VALUES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("output", [VALUES, {"logits": VALUES}, SimpleNamespace(logits=VALUES), (VALUES, None)])
def test_values_come_first_and_are_sure(output: Any) -> None:
    found = reader(Regression())(output)
    torch.testing.assert_close(found[:, :3], VALUES, rtol=0, atol=0)
    assert bool((found[:, 3:].exp() < 1e-20).all())
    assert found.shape == (4, 6)


@pytest.mark.parametrize("flat", [True, False])
def test_a_model_with_one_value_is_captured(flat: bool) -> None:
    last = [nn.Flatten(0)] if flat else []
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), *last)
    found = analyse(net, torch.randn(2, 4), reader(Regression()))
    assert found.classes == 2
    assert [point.name for point in found.points] == ["1", "3"]


@pytest.mark.parametrize("output", [torch.zeros(2, 3, 4), torch.zeros(2).long(), {"scores": VALUES}, (), None])
def test_other_outputs_are_refused(output: Any) -> None:
    with pytest.raises(CaptureError, match=r"expected values of shape \(batch,\) or \(batch, values\)"):
        reader(Regression())(output)


def test_tolerances_are_one_or_as_many_as_values() -> None:
    for known in ((0.5,), (0.5, 1.0, 2.0)):
        assert reader(Regression(known))(VALUES).shape == (4, 6)
    with pytest.raises(CaptureError, match="expected one tolerance, or 3, one for each value of the model, got 2"):
        reader(Regression((0.5, 1.0)))(VALUES)
