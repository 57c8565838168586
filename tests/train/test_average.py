import pytest
import torch
from torch import nn

from offramp.train.average import averaged


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_mean_is_the_recursion_it_claims_to_be(decay: float) -> None:
    heads = nn.ModuleList([nn.Linear(3, 2)])
    mean = averaged(heads, decay)
    generator = torch.Generator().manual_seed(0)
    expected = torch.zeros(2, 3)
    for step in range(30):
        value = torch.randn(2, 3, generator=generator)
        with torch.no_grad():
            heads[0].weight.copy_(value)  # type: ignore[operator]
        left = min(decay, (1 + step) / (10 + step)) if step else 0.0
        expected = left * expected + (1 - left) * value
        mean.update_parameters(heads)
        torch.testing.assert_close(mean.module[0].weight, expected)  # type: ignore[index]


def test_the_start_is_forgotten_where_steps_are_few() -> None:
    heads = nn.ModuleList([nn.Linear(1, 1)])
    mean = averaged(heads, 0.995)
    with torch.no_grad():
        heads[0].weight.fill_(100.0)  # type: ignore[operator]
        mean.update_parameters(heads)
        for _ in range(40):
            heads[0].weight.fill_(1.0)  # type: ignore[operator]
            mean.update_parameters(heads)
    assert abs(mean.module[0].weight.item() - 1.0) < 0.01  # type: ignore[index]
