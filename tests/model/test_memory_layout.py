import pytest
import torch
from torch import nn

from offramp.model.memory_layout import fastest_layout, laid_out
from tests.toys import CNN, TEXT


class Looking(nn.Module):
    """Looks at its features with `view`, which the channels-last layout does not allow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(len(x), -1)


def test_pictures_are_laid_out_channels_last_where_the_network_takes_them() -> None:
    images = CNN.inputs(4)
    layout = fastest_layout(CNN.model().eval(), images)
    assert layout is torch.channels_last
    found = laid_out(images, layout)
    assert isinstance(found, torch.Tensor)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, images, rtol=0, atol=0)


def test_a_network_that_cannot_take_them_keeps_the_usual_layout() -> None:
    assert fastest_layout(Looking(), torch.randn(2, 3, 4, 4)) is torch.contiguous_format


@pytest.mark.parametrize("inputs", [None, torch.randn(2, 3), TEXT.inputs(2)], ids=["nothing", "rows", "text"])
def test_what_are_no_pictures_stays_as_it_is(inputs: torch.Tensor | None) -> None:
    assert fastest_layout(nn.Identity(), inputs) is torch.contiguous_format
    if inputs is not None:
        assert laid_out(inputs, torch.channels_last) is inputs
