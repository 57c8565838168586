"""What a model of tokens takes at most: as told beforehand, and as it turns out when it is tried."""

from typing import Any

import pytest
import torch
import transformers
from benchmarks import torchvision_shim
from torch import nn

from offramp.model.by_graph import by_graph
from offramp.model.limits import Limits, limits_of, positions_of
from offramp.reading.answer import answer_of
from tests.toys import CNN, graph_of

torchvision_shim.install()  # transformers imports torchvision where there is one

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
KINDS: dict[str, tuple[Any, dict[str, Any], int | None]] = {
    "bert": (transformers.BertForSequenceClassification, {"max_position_embeddings": 40}, 40),
    "roberta": (transformers.RobertaForSequenceClassification, {"max_position_embeddings": 42}, 40),
    "electra": (transformers.ElectraForSequenceClassification, {"max_position_embeddings": 40}, 40),
    "rotary": (
        transformers.ModernBertForSequenceClassification,
        dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1),
        None,
    ),
}


def made(kind: str) -> nn.Module:
    factory, wishes, _ = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: nn.Module = factory(factory.config_class(**SMALL, **wishes)).eval()
    return model


def tokens(length: int, number: int = 3) -> dict[str, torch.Tensor]:
    ids = torch.full((2, length), number)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def runs(model: nn.Module, inputs: dict[str, torch.Tensor]) -> bool:
    try:
        with torch.no_grad():
            model(**inputs)
    except (IndexError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_those_that_the_model_runs_with(kind: str) -> None:
    model, most = made(kind), KINDS[kind][2]
    assert positions_of(model) == most
    assert runs(model, tokens(most or 200))
    assert most is None or not runs(model, tokens(most + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_limits_are_read_off_the_graph(kind: str) -> None:
    model, most = made(kind), KINDS[kind][2]
    graph = by_graph(model, tokens(9), answer_of).graph
    assert graph is not None
    assert limits_of(graph.captured, model) == (Limits(50, most), Limits(None, most))
    assert runs(model, tokens(9, 49))
    assert not runs(model, tokens(9, 50))


def test_a_graph_that_holds_for_some_lengths_says_for_which() -> None:
    """Where no table of positions has a name that is known."""

    class Short(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.words, self.places = nn.Embedding(20, 8), nn.Parameter(torch.randn(13, 8))
                self.one, self.two, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = self.words(ids.view(ids.shape[0], -1)) + self.places[: ids.shape[1]]
            logits: torch.Tensor = self.last(self.two(self.one(x).tanh()).tanh().mean(1))
            return logits

    model = Short().eval()
    graph = by_graph(model, torch.zeros(2, 5, dtype=torch.int64), answer_of).graph
    assert graph is not None
    assert positions_of(model) is None
    assert limits_of(graph.captured, model) == (Limits(20, 13),)


def test_pictures_have_none() -> None:
    graph = graph_of("cnn")
    assert limits_of(graph.captured, CNN.model()) == (Limits(None, None),)
