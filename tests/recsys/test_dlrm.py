"""DLRM against slow loops, the exporter, and EmbeddingBag."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.recsys.dlrm import DLRM, Interaction, Tables
from torch.nn import functional as F
from torch.testing import assert_close

from offramp.inputs import Inputs, call, select
from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.sources import open_source
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.ctr import Ctr

SHARED = Path(os.environ.get("OFFRAMP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()
SIZES = (5, 3, 7, 2)
HASHED = ClickPreprocess.criteo(50)


def ids(batch: int, most: int | None = None, seed: int = 0) -> torch.Tensor:
    """Random ids, a fifth of them missing where a field may have several."""
    generator = torch.Generator().manual_seed(seed)
    fields = [torch.randint(0, size, (batch, most or 1), generator=generator) for size in SIZES]
    found = torch.stack(fields, dim=1)
    if most is None:
        return found[:, :, 0]
    return torch.where(torch.rand(found.shape, generator=generator) < 0.2, -1, found)


def criteo(batch: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    dense = torch.rand(batch, 13, generator=generator)
    return {"dense": dense, "sparse": torch.randint(0, 50, (batch, 26), generator=generator)}


def network(kind: str) -> tuple[DLRM, Inputs]:
    if kind == "criteo":
        return DLRM(HASHED.sizes, dense=13, width=8, bottom=(32, 16), top=(48, 24)).eval(), criteo(6)
    top, mean = (32, 32, 16), kind == "mean"
    return DLRM(SIZES, width=8, top=top, mean=mean).eval(), ids(6, None if kind == "one id" else 3)


KINDS = ("one id", "several", "mean", "criteo")


@pytest.mark.parametrize("first", [False, True])
def test_the_interaction_is_every_product_of_two_vectors(first: bool) -> None:
    vectors = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    for sample, found in zip(vectors, Interaction(5, first)(vectors), strict=True):
        expected = [float(x) for x in sample[0]] if first else []
        for i in range(5):
            for j in range(i):
                expected.append(sum(float(sample[i, k] * sample[j, k]) for k in range(4)))
        assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("mean", [False, True])
def test_tables_answer_as_an_embedding_bag_of_each_field(mean: bool) -> None:
    tables, bags = Tables(SIZES, 6, mean), ids(9, 3)
    with torch.no_grad():
        tables.rows.weight[1:].normal_(generator=torch.Generator().manual_seed(2))
        found = tables(bags)
        for field in range(len(SIZES)):
            real = [bag[bag >= 0] for bag in bags[:, field]]
            offsets = torch.tensor([0, *(len(bag) for bag in real[:-1])]).cumsum(0)
            mode = "mean" if mean else "sum"
            assert_close(found[:, field], F.embedding_bag(torch.cat(real), tables.table(field), offsets, mode=mode))


def test_no_value_has_no_vector_and_learns_nothing() -> None:
    tables = Tables(SIZES, 6)
    vectors = tables(torch.tensor([[0, -1, 6, 1]]))
    assert vectors[0, 1].abs().max() == 0
    assert_close(vectors[0, [0, 2, 3]], torch.stack([tables.table(0)[0], tables.table(2)[6], tables.table(3)[1]]))
    vectors.sum().backward()
    assert tables.rows.weight.grad is not None
    assert tables.rows.weight.grad.sum(1).nonzero().flatten().tolist() == [1, 15, 17]


def test_the_whole_is_its_parts() -> None:
    """Against a loop over samples that knows nothing of batches."""
    model, inputs = network("criteo")
    assert isinstance(inputs, dict)
    assert model.bottom is not None
    with torch.no_grad():
        for sample, logit in enumerate(call(model, inputs)):
            bottom = model.bottom(inputs["dense"][sample])
            looked_up = [model.embeddings.table(field)[i] for field, i in enumerate(inputs["sparse"][sample].tolist())]
            vectors = [bottom, *looked_up]
            products = [vectors[i] @ vectors[j] for i in range(27) for j in range(i)]
            assert_close(logit, model.click(model.top(torch.cat([bottom, torch.stack(products)]))))


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_graph_answers_like_the_network(kind: str) -> None:
    model, inputs = network(kind)
    names = {
        name: {0: torch.export.Dim("batch", min=2, max=512)} for name in (inputs if isinstance(inputs, dict) else ())
    }
    args = () if isinstance(inputs, dict) else (inputs,)
    shapes = names or ({0: torch.export.Dim("batch", min=2, max=512)},)
    assert not isinstance(inputs, tuple)
    kwargs = inputs if isinstance(inputs, dict) else None
    exported = torch.export.export(model, args, kwargs, dynamic_shapes=shapes, strict=False).module()
    for size in (2, 5, 64):
        some = select(inputs, torch.arange(size) % 6)
        given = exported(**some) if isinstance(some, dict) else exported(some)
        assert_close(given, call(model, some))
        assert given.shape == (size, 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("one id", ["embeddings", "interaction", "top.0", "top.1"]),
        ("several", ["embeddings", "interaction", "top.0", "top.1"]),
        ("mean", ["embeddings", "interaction", "top.0", "top.1"]),
        ("criteo", ["interaction", "top.0"]),
    ],
)
def test_points_lie_behind_the_interaction(kind: str, expected: list[str]) -> None:
    """Where dense features come in besides, those before it have to carry something along."""
    model, inputs = network(kind)
    backbone = analyse(model, inputs, reader(Ctr()))
    assert backbone.graph is not None
    assert [point.name for point in backbone.points if not point.side_values] == expected


def test_depths_are_shares_of_the_multiplications() -> None:
    """Against a sum by hand: products of vectors (the exporter's bmm makes all 16), then layer by layer."""
    model, inputs = network("one id")
    backbone = analyse(model, inputs, reader(Ctr()))
    layers = [4 * 4 * 8, 6 * 32, 32 * 32, 32 * 16, 16]
    assert backbone.macs == sum(layers)
    upto = np.cumsum([0, *layers]) / sum(layers)
    assert [point.depth for point in backbone.points] == pytest.approx(upto[:4])


def test_the_first_weights_are_the_seeds() -> None:
    one, same, other = (DLRM(SIZES, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["click.weight"], other["click.weight"])
    bounds = [float(Tables.table(DLRM(SIZES, width=500).embeddings, field).detach().abs().max()) for field in range(4)]
    assert bounds == pytest.approx([size**-0.5 for size in SIZES], rel=0.01)


def test_criteo_rows_run_through_an_untrained_network() -> None:
    path = SHARED / "recsys" / "criteo_sample_raw.csv"
    if not path.exists():
        pytest.skip("no Criteo sample in the shared data; set OFFRAMP_DATA")
    preprocess = ClickPreprocess.criteo(1000)
    source = open_source(path, preprocess)
    assert (len(source), int(source.labels().sum())) == (1999, 418)
    inputs = source.inputs(np.arange(1999))
    assert isinstance(inputs, dict)
    assert inputs["dense"].shape == (1999, 13)
    assert float(inputs["dense"].min()) == 0.0
    assert_close(inputs["dense"][1, :5], torch.log(torch.tensor([3.0, 1.0, 45.0, 2.0, 103.0])))
    assert inputs["sparse"][0, 0] == 0x68FD1E64 % 1000
    model = DLRM(preprocess.sizes, dense=13).eval()
    with torch.inference_mode():
        logits = call(model, inputs)
    assert logits.shape == (1999, 1)
    assert len(logits.unique()) > 1900
