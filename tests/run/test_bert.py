"""A BERT whose texts leave one by one."""

import numpy as np
import pytest
import torch
import transformers
from benchmarks import torchvision_shim
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.errors import DataError
from offramp.gates.max_prob import MaxProb
from offramp.inputs import Inputs, select
from offramp.model.multi_exit import MultiExit
from offramp.reading.answer import answer_of
from offramp.run.choice import executor
from offramp.run.loop import Outcome, Plan, run, stops_of
from offramp.types import Configuration
from tests.run.test_sizes import shorter
from tests.toys import attached

torchvision_shim.install()  # transformers imports torchvision where there is one


def bert(**sizes: int) -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        num_labels=3,
        **sizes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: nn.Module = transformers.BertForSequenceClassification(config).eval()
    return model


def texts(batch: int, length: int = 24) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(3, length + 1, (batch, 1), generator=generator)
    mask = (torch.arange(length) < lengths).long()
    return {"input_ids": torch.randint(1, 50, (batch, length), generator=generator) * mask, "attention_mask": mask}


@pytest.fixture(scope="module")
def leaving() -> MultiExit:
    """A BERT with heads at all its points."""
    return attached(bert(), texts(2), ("token-mlp",))


def answered(model: MultiExit, inputs: Inputs, threshold: float) -> Outcome:
    inner = len(model.exits)
    configuration = Configuration((True,) * inner, (threshold,) * inner)
    made = executor(model, answer_of, MaxProb(), [Identity()] * inner, configuration.enabled)
    return run(Plan(configuration, stops_of(configuration.enabled, model.point_of), made), inputs)


def test_a_bert_leaves_per_sample_at_batch_32_as_at_batch_1(leaving: MultiExit) -> None:
    """Masks shrink with the batch; and padding changes nothing: alone, a text is as long as it is."""
    inputs = texts(32)
    with torch.no_grad():
        scores = leaving.outputs(inputs, answer_of)[:-1].softmax(2).amax(2)
    threshold = float(scores.flatten().quantile(0.75).double())
    together = answered(leaving, inputs, threshold)
    assert len(set(together.exit_index.tolist())) > 3
    for row in range(32):
        alone = select(inputs, torch.tensor([row]))
        for one in (alone, shorter(alone, int(inputs["attention_mask"][row].sum()))):
            found = answered(leaving, one, threshold)
            assert found.exit_index.tolist() == [int(together.exit_index[row])]
            np.testing.assert_allclose(found.output[0], together.output[row], rtol=1e-4, atol=1e-5)


def test_a_bert_takes_no_text_longer_than_its_positions(leaving: MultiExit) -> None:
    graph = leaving.backbone.graph
    assert graph is not None
    assert graph.captured.sizes.allow(texts(2, 40))
    assert not graph.captured.sizes.allow(texts(2, 41))
    with pytest.raises(DataError, match=r"got input_ids \(41,\)"):
        answered(leaving, texts(2, 41), 0.5)
