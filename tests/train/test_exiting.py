import pytest
import torch
from torch import nn

from offramp.errors import InputError
from offramp.heads import head_type
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.reading import reader
from offramp.tasks.classification import Classification
from offramp.train.exiting import Exiting
from offramp.types import Exit, ExitPoint


def network(inplace: bool, kind: str = "pooled-linear") -> Exiting:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace), nn.Linear(6, 3))
    backbone = Backbone(model, torch.zeros(2, 4), (ExitPoint("0", 0, (6,), 0.5),), 3, 42.0, None)
    head = head_type(kind).build((6,), 3, torch.Generator().manual_seed(1))
    return Exiting(MultiExit(backbone, (Exit("0", kind),), nn.ModuleList([head])), reader(Classification()))


def test_a_head_learns_from_a_feature_that_the_model_then_changes_in_place() -> None:
    gradients = []
    for inplace in (True, False):
        found = network(inplace)
        said = found(torch.randn(5, 4, generator=torch.Generator().manual_seed(2)), (0, 1))
        torch.stack(list(said.values())).square().sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([parameter.grad for parameter in found.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert all(gradient is not None for gradient in gradients[0])


def test_logits_are_single_precision_whatever_products_are() -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16):
        said = network(True)(x, (0, 1))
    assert {logits.dtype for logits in said.values()} == {torch.float32}


def test_heads_that_hear_each_other_are_refused() -> None:
    with pytest.raises(InputError, match="expected heads that answer alone"):
        network(False, "ztw")
