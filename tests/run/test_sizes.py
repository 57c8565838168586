"""Inputs of other lengths and resolutions than those a model was captured with."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError, DataError
from offramp.inputs import Inputs
from offramp.model.by_graph import by_graph
from offramp.model.resized import Chains
from offramp.model.segments import Chain
from offramp.run.eager import Eager
from tests.toys import CNN, TEXT, VIT, attached, eager_of, graph_of, live, logits_of, untouched, whole


def shorter(inputs: Inputs, length: int) -> dict[str, torch.Tensor]:
    """Texts cut to a length; what is cut off was padding or is lost."""
    assert isinstance(inputs, dict)
    return {name: tensor[:, :length] for name, tensor in inputs.items()}


def driven(executor: Eager, inputs: Inputs) -> torch.Tensor:
    """The answer with stops everywhere and nobody leaving."""
    with torch.no_grad():
        found = executor.drive(inputs, lambda _point, _feature: None)
    assert found is not None
    return found.logits


def chain(executor: Eager, inputs: Inputs) -> Chain:
    return executor.chains.fit_for(inputs)


@pytest.mark.parametrize("length", [2, 5, 9])
def test_texts_of_any_length_run_on_one_graph(length: int) -> None:
    model, inputs = live("text"), shorter(TEXT.inputs(5), length)
    executor = eager_of(model)
    assert graph_of("text").captured.sizes.allow(inputs)
    assert chain(executor, inputs) is chain(executor, TEXT.inputs(3))
    expected = whole(model.backbone.model, inputs)
    with torch.no_grad():
        found = executor.drive(inputs, lambda _point, feature: torch.arange(0, len(feature), 2))
    rows = torch.arange(5)
    for _ in model.points:
        rows = rows[::2]
    assert found is not None
    torch.testing.assert_close(found.logits, expected[rows], rtol=1e-5, atol=1e-6)


def test_names_may_come_in_any_order_and_others_are_refused() -> None:
    model, inputs = live("text"), TEXT.inputs(4)
    assert isinstance(inputs, dict)
    executor = eager_of(model)
    turned = {name: inputs[name] for name in reversed(inputs)}
    torch.testing.assert_close(driven(executor, turned), driven(executor, inputs), rtol=0, atol=0)
    for wrong in ({**inputs, "more": inputs["input_ids"]}, inputs["input_ids"], shorter(inputs, 0)):
        with pytest.raises(DataError, match="with which the model was captured"):
            driven(executor, wrong)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 12), (11, 21)])
def test_pictures_of_another_size_get_segments_of_their_own(height: int, width: int) -> None:
    model = live("cnn")
    inputs = torch.randn(4, 3, height, width, generator=torch.Generator().manual_seed(2))
    executor = eager_of(model)
    assert not graph_of("cnn").captured.sizes.allow(inputs)
    with untouched(model.backbone.model):
        found = driven(executor, inputs)
    torch.testing.assert_close(found, whole(model.backbone.model, inputs), rtol=0, atol=0)
    assert chain(executor, inputs) is chain(executor, inputs[:1])
    assert chain(executor, inputs) is not chain(executor, CNN.inputs(2))


def test_a_size_that_the_model_refuses_is_named_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = eager_of(live("vit"))
    said = r"got \(3, 16, 16\) float32.*resize or pad them"
    with pytest.raises(DataError, match=said):
        driven(executor, torch.randn(2, 3, 16, 16))
    monkeypatch.setattr(Chains, "_captured", None)
    with pytest.raises(DataError, match=said):
        driven(executor, torch.randn(5, 3, 16, 16))
    driven(executor, VIT.inputs(2))


def test_a_feature_too_small_for_a_head_is_named() -> None:
    model = attached(CNN.model(), CNN.inputs(2), ("grid-linear",))
    with pytest.raises(DataError, match="nearer to those of the build"):
        model.head(0)(torch.randn(2, 8, 2, 2))


def test_a_point_that_nobody_would_propose_at_another_size_is_still_there() -> None:
    """At 32x32 the last convolution ends behind 98 % of the cost, where no exit is offered."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convolutions = [layer for _ in range(3) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())]
        model = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 200)).eval()
    backbone = by_graph(model, torch.randn(2, 3, 6, 6), logits_of)
    large = torch.randn(3, 3, 32, 32)
    names = [point.name for point in backbone.points]
    assert [point.name for point in by_graph(model, large, logits_of).points] != names
    found = Chains(backbone, names, logits_of).fit_for(large)
    assert len(found.segments) == len(names) + 1


class Texts(nn.Module):
    """Embeds tokens (B, T) and averages them; `bend` makes it depend on the sizes."""

    def __init__(self, bend: Callable[[int, int], bool]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.words = nn.Embedding(20, 8)
            self.one, self.two, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.bend = bend

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.two(self.one(self.words(tokens)).tanh()).tanh()
        if self.bend(*tokens.shape):
            x = 3.0 * x
        logits: torch.Tensor = self.last(x.mean(1))
        return logits


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, 20, (batch, length), generator=torch.Generator().manual_seed(batch))


@pytest.mark.parametrize(
    "bend",
    [
        lambda _batch, length: length == 1,
        lambda _batch, length: length < 2,
        lambda _batch, length: length > 6,
        lambda _batch, length: length % 2 == 0,
    ],
)
def test_a_branch_on_the_length_is_taken(bend: Callable[[int, int], bool]) -> None:
    model = Texts(bend).eval()
    executor = eager_of(attached(model, tokens(2, 5)))
    for length in (1, 2, 3, 5, 7, 8, 9, 10):
        for batch in (1, 2, 5, length):
            inputs = tokens(batch, length)
            torch.testing.assert_close(driven(executor, inputs), whole(model, inputs))


def test_one_graph_serves_all_lengths_for_which_it_holds() -> None:
    executor = eager_of(attached(Texts(lambda _batch, length: length > 6).eval(), tokens(2, 5)))
    assert len({id(chain(executor, tokens(2, length))) for length in (7, 8, 9, 30)}) == 1
    assert len({id(chain(executor, tokens(2, length))) for length in (2, 3, 6, 7)}) == 2


@pytest.mark.parametrize(
    "bend",
    [
        lambda batch, _length: batch == 1,
        lambda batch, _length: batch % 2 == 0,
        lambda batch, _length: batch > 3,
        lambda batch, length: batch * length > 40,
        lambda batch, length: batch == length,
    ],
)
def test_a_model_that_looks_at_its_batch_is_never_answered_otherwise(bend: Callable[[int, int], bool]) -> None:
    """It may be refused; where it is taken the answers are its own."""
    model = Texts(bend).eval()
    try:
        backbone = by_graph(model, tokens(2, 9), logits_of)
    except CaptureError:
        return
    executor = Eager(model, Chains(backbone, ["one"], logits_of), logits_of)
    for batch, length in ((1, 9), (2, 9), (5, 5), (9, 9), (5, 9), (3, 2), (2, 2), (9, 7), (1, 5), (5, 2)):
        inputs = tokens(batch, length)
        try:
            found = driven(executor, inputs)
        except DataError:
            continue
        torch.testing.assert_close(found, whole(model, inputs))


def test_threads_run_the_model_while_another_meets_new_sizes() -> None:
    model = attached(CNN.model(), CNN.inputs(2))
    executor, inputs = eager_of(model), CNN.inputs(3)
    expected, wrong, done = whole(model.backbone.model, inputs), [], threading.Event()

    def run() -> None:
        while not done.is_set():
            try:
                found = executor.whole(inputs).logits
            except Exception as error:  # whatever the exporter makes of it
                wrong.append(error)
                return
            if not torch.equal(found, expected):
                wrong.append(AssertionError("another answer"))

    def meet(side: int) -> None:
        try:
            driven(executor, torch.randn(2, 3, side, side))
        except Exception as error:
            wrong.append(error)

    runners = [threading.Thread(target=run) for _ in range(2)]
    meeters = [threading.Thread(target=meet, args=(side,)) for side in (8, 10, 14)]
    for thread in (*runners, *meeters):
        thread.start()
    for thread in meeters:
        thread.join()
    done.set()
    for thread in runners:
        thread.join()
    assert wrong == []
