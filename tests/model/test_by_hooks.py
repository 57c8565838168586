import pytest
import torch
from torch import nn

from offramp.errors import CaptureError
from offramp.model.by_hooks import by_hooks
from offramp.reading.answer import answer_of
from offramp.testing.models import ResidualCNN
from tests.toys import CLICKS, CNN, MLP, TEXT, logits_of, untouched


@pytest.mark.parametrize("toy", [MLP, CNN, CLICKS], ids=lambda toy: str(toy.name))
def test_the_points_are_among_those_of_the_graph(toy: object) -> None:
    from offramp.model.by_graph import by_graph

    model, inputs = toy.model(), toy.inputs(3)  # type: ignore[attr-defined]
    with untouched(model):
        found = by_hooks(model, inputs, logits_of)
    graph = by_graph(model, inputs, logits_of)
    depth = {point.name: point.depth for point in graph.points if not point.side_values}
    assert {point.name: point.depth for point in found.points}.items() >= {
        name: value for name, value in depth.items() if name in {point.name for point in found.points}
    }.items()
    assert [point.name for point in found.points if point.name in depth] == list(depth)
    assert found.macs == pytest.approx(graph.macs)
    assert (found.classes, found.graph) == (5, None)


class FirstRows(nn.Module):
    """Reads as many of the first rows of something unshrunk as are left: the wrong ones."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(x.sum(1, keepdim=True))
        y = torch.relu(self.two(torch.relu(self.one(x))))
        logits: torch.Tensor = self.last(y * gate[: len(y)])
        return logits


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_wrong_rows_are_found_out_however_few_examples_there_are(samples: int) -> None:
    inputs = torch.randn(samples, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(CaptureError, match="no module of FirstRows can drop samples"):
        by_hooks(FirstRows().eval(), inputs, logits_of)


def test_a_mask_of_the_whole_batch_makes_points_illegal() -> None:
    with pytest.raises(CaptureError, match="no module of TextEncoder can drop samples"):
        by_hooks(TEXT.model(), TEXT.inputs(3), logits_of)


class Counting(nn.Module):
    """Counts its calls in a buffer, or makes one."""

    def __init__(self, fresh: bool) -> None:
        super().__init__()
        self.fresh = fresh
        self.one, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        if not fresh:
            self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fresh:
            self.register_buffer("count", torch.ones(1))
        else:
            self.count: torch.Tensor
            self.count += 1
        logits: torch.Tensor = self.last(self.one(x).relu())
        return logits


@pytest.mark.parametrize("fresh", [False, True])
def test_a_model_that_writes_to_its_buffers_is_refused(fresh: bool) -> None:
    model = Counting(fresh).eval()
    with pytest.raises(CaptureError, match="Counting writes to its buffers count in eval mode"):
        by_hooks(model, torch.randn(2, 4), logits_of)
    if not fresh:
        assert float(model.count) == 0


def test_a_model_that_does_not_run_says_why() -> None:
    with pytest.raises(CaptureError, match="ResidualCNN does not run: RuntimeError"):
        by_hooks(ResidualCNN().eval(), torch.randn(2, 4), logits_of)


def test_an_answer_needs_an_axis_besides_the_batch() -> None:
    with pytest.raises(CaptureError, match=r"at least two axes in the model's output, got \(2,\)"):
        answer_of(torch.zeros(2))
