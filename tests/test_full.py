"""What a model returns besides its logits comes with the samples that reach its end, whatever it runs on."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from torch import nn

from offramp import deployed
from offramp.bundle import Bundle
from offramp.exporting import export
from offramp.run.loop import Outcome
from offramp.run.model import EarlyExitModel
from offramp.run.routing import Routing
from offramp.serve.deployment import Deployment
from offramp.serve.loading import from_bundle, from_stages
from tests.builds import make
from tests.serve.asgi import INFER, Hosted


class Embedding(nn.Module):
    """A classifier that also returns what it looks at, in two forms, and its loss, which is none of a sample's."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.one, self.two = nn.Linear(6, 24), nn.Linear(24, 24)
        self.three, self.classify = nn.Linear(24, 24), nn.Linear(24, 4)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / max(parameter.shape[-1], 1) ** 0.5

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 6) to a dict."""
        deep = self.three(self.two(self.one(x).relu()).relu()).relu()
        norm = deep / (deep.norm(dim=1, keepdim=True) + 1e-6)
        logits = 3 * self.classify(deep)
        return {"logits": logits, "embedding": norm, "label": logits.argmax(dim=1), "loss": deep.mean()}


def rows(samples: int = 30, seed: int = 9) -> torch.Tensor:
    return torch.randn(samples, 6, generator=torch.Generator().manual_seed(seed))


@cache
def built() -> Bundle:
    return make(Path(mkdtemp(prefix="offramp-tests-")) / "b", model=Embedding().eval(), data=rows(400, 1))


def early(found: Bundle) -> str:
    """A point at which some samples leave and some stay."""
    return next(one.name for one in found.points if 0.1 < one.exit_share[-1] < 0.9)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "stages"
    export(built(), folder, [early(built()), "full"])
    return folder


def check(found: Outcome, convert: Callable[[object], np.ndarray] = np.asarray) -> None:
    with torch.no_grad():
        expected = Embedding()(rows())
    who = convert(found.at_backbone)
    np.testing.assert_array_equal(who, np.flatnonzero(convert(found.exit_index) == convert(found.exit_index).max()))
    assert set(found.full) == {"embedding", "label"}
    for name, values in found.full.items():
        np.testing.assert_allclose(convert(values), expected[name].numpy()[who], rtol=1e-4, atol=1e-5)


def ran(model: EarlyExitModel, point: str, inputs: object) -> Outcome:
    return model.use(point)(inputs)


@pytest.mark.parametrize("whole", [True, False])
def test_in_torch(whole: bool) -> None:
    point = "full" if whole else early(built())
    found = ran(built().use(point), point, rows())
    assert whole == (len(found.at_backbone) == 30)
    check(found)


def test_in_exported_stages(stages: Path) -> None:
    assert [one["name"] for one in Routing.read(stages).full] == ["embedding", "label"]
    for point in ("full", early(built())):
        check(ran(deployed.load(stages, point), point, rows().numpy()))


@pytest.mark.parametrize("kind", ["bundle", "stages"])
def test_served_where_it_is_asked_for(kind: str, stages: Path, tmp_path: Path) -> None:
    made = from_stages(stages) if kind == "stages" else from_bundle(built(), "eager", tmp_path, "toy")
    hosted = Hosted(named(made))
    asked = ["embedding", "full_label", "label", "exit_index"]
    body = {
        "inputs": [{"name": made.inputs[0].name, "shape": [30, 6], "datatype": "FP32", "data": rows().tolist()}],
        "outputs": [{"name": name} for name in asked],
        "parameters": {"operating_point": early(built())},
    }

    async def talk() -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
        told = json.loads((await hosted.ask("/v2/models/toy", b"", "GET"))[2])
        status, _, reply = await hosted.ask(INFER, json.dumps(body).encode())
        assert status == 200, reply
        plain = await hosted.ask(INFER, json.dumps({"inputs": body["inputs"]}).encode())
        return told, json.loads(reply), json.loads(plain[2])

    try:
        told, reply, plain = asyncio.run(talk())
    finally:
        hosted.close()
    outputs = {one["name"]: one for one in reply["outputs"]}  # type: ignore[attr-defined]
    assert list(outputs) == asked or set(outputs) == set(asked)
    index = np.array(outputs["exit_index"]["data"])
    stay = index == index.max()
    assert 0 < stay.sum() < 30
    embedding = np.array(outputs["embedding"]["data"]).reshape(30, 24)
    with torch.no_grad():
        expected = Embedding()(rows())
    np.testing.assert_allclose(embedding[stay], expected["embedding"].numpy()[stay], rtol=1e-3, atol=1e-4)
    assert not embedding[~stay].any()
    np.testing.assert_array_equal(np.array(outputs["full_label"]["data"])[stay], expected["label"].numpy()[stay])
    assert "embedding" not in {one["name"] for one in plain["outputs"]}  # type: ignore[attr-defined]
    given = {one["name"]: one for one in told["outputs"]}  # type: ignore[attr-defined]
    assert (given["embedding"]["datatype"], given["embedding"]["shape"]) == ("FP32", [-1, 24])
    assert (given["full_label"]["datatype"], given["full_label"]["shape"]) == ("INT64", [-1])


def named(made: Deployment) -> Deployment:
    return replace(made, name="toy")
