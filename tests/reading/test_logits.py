from types import SimpleNamespace
from typing import Any

import pytest
import torch

from offramp.errors import CaptureError
from offramp.reading import reader
from offramp.tasks.classification import Classification

LOGITS = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"logits": LOGITS, "hidden": torch.zeros(2, 9)},
        SimpleNamespace(logits=LOGITS),
        (LOGITS, torch.zeros(2, 9)),
        [LOGITS],
    ],
)
def test_finds_the_logits(output: Any) -> None:
    assert reader(Classification())(output) is LOGITS


@pytest.mark.parametrize("output", [torch.zeros(2), torch.zeros(2, 3, 4), {"scores": LOGITS}, (), "logits", None])
def test_refuses_outputs_without_logits(output: Any) -> None:
    with pytest.raises(CaptureError, match=r"expected logits of shape \(batch, classes\)"):
        reader(Classification())(output)


def test_one_number_per_sample_is_no_class() -> None:
    with pytest.raises(CaptureError, match=r"at least two classes, got one number per sample; say what it is: .*ctr"):
        reader(Classification())(torch.zeros(2, 1))
