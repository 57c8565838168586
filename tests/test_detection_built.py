"""A detector with exits, from a build to a server, by what every other model uses."""

import asyncio
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import offramp
from offramp import deployed
from offramp.bundle import Bundle
from offramp.errors import CaptureError
from offramp.exporting import export
from offramp.serve.loading import from_stages
from tests.builds import make
from tests.serve.asgi import INFER, Hosted

TASK = "detection:present:0:0.55"


class Detector(nn.Module):
    """Finds bright spots: two classes by the colour, a box for each of four cells."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.three, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 7, 1)
        generator = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 3, 8, 8) to detections."""
        deep = self.three(self.two(self.one(x).relu()).relu()).relu()
        cells = nn.functional.adaptive_avg_pool2d(self.last(deep), 2).flatten(2).transpose(1, 2)
        classes = (3 * cells[..., 4:6]).softmax(dim=2)
        return {"boxes": cells[..., :4].sigmoid(), "scores": (2 * cells[..., 6]).sigmoid(), "classes": classes}


def pictures(samples: int, seed: int) -> torch.Tensor:
    return torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@cache
def built() -> Bundle:
    folder = Path(mkdtemp(prefix="offramp-tests-"))
    return make(folder / "b", model=Detector().eval(), data=pictures(600, 1), task=TASK, max_drop=0.2)


def truth(x: torch.Tensor) -> np.ndarray:
    """Whether the detector sees a spot of the first colour, by its own loop."""
    with torch.no_grad():
        found = Detector()(x)
    seen = []
    for scores, classes in zip(found["scores"].tolist(), found["classes"].tolist(), strict=True):
        mine = [score for score, (first, second) in zip(scores, classes, strict=True) if first >= second]
        seen.append(max(mine, default=0.0) > 0.55)
    return np.array(seen)


def test_a_detector_is_built_certified_and_evaluated() -> None:
    bundle = built()
    assert (bundle.task.name, bundle.manifest.model.classes) == (TASK, 2)
    there = truth(pictures(200, 2))
    assert 0.1 < there.mean() < 0.9
    early = [point for point in bundle.points if point.exit_share[-1] < 1]
    assert early
    assert {bound.risk for point in bundle.points for bound in point.also} == {"misses", "false alarms"}
    assert Bundle.load(bundle.save(Path(mkdtemp(prefix="offramp-tests-")) / "again")).points == bundle.points
    found = offramp.evaluate(bundle, offramp.open_source((pictures(200, 2), there.astype(int))), batch_sizes=())
    assert found.accuracy == 1.0, "the labels are the detector's own"
    assert found.measures["misses"] == found.measures["false_alarms"] == 0.0
    assert found.points[1].measures["f1"] > 0.8 > found.points[-1].measures["f1"]


def some(bundle: Bundle) -> str:
    return next(one.name for one in bundle.points if 0.1 < one.exit_share[-1] < 0.9)


def test_who_reaches_the_end_has_the_full_result_in_torch_and_in_stages(tmp_path: Path) -> None:
    bundle, x = built(), pictures(40, 3)
    export(bundle, tmp_path / "stages", [some(bundle), "full"])
    with torch.no_grad():
        expected = Detector()(x)
    for outcome in (bundle.use(some(bundle))(x), deployed.load(tmp_path / "stages", some(bundle))(x.numpy())):
        who = np.asarray(outcome.at_backbone)
        assert 0 < len(who) < 40
        for name, values in expected.items():
            np.testing.assert_allclose(np.asarray(outcome.full[name]), values.numpy()[who], rtol=1e-3, atol=1e-4)
        told = bundle.task.predict(np.asarray(outcome.output))
        np.testing.assert_array_equal(told[who], truth(x)[who])


def test_boxes_are_served_to_who_asks_for_them(tmp_path: Path) -> None:
    export(built(), tmp_path / "stages", [some(built()), "full"])
    hosted = Hosted(replace(from_stages(tmp_path / "stages"), name="toy"))
    x = pictures(20, 4)
    body: dict[str, Any] = {
        "inputs": [{"name": "input0", "shape": list(x.shape), "datatype": "FP32", "data": x.flatten().tolist()}],
        "outputs": [{"name": name} for name in ("label", "probability", "exit_index", "boxes")],
        "parameters": {"operating_point": "full"},
    }
    try:
        status, _, reply = asyncio.run(hosted.ask(INFER, json.dumps(body).encode()))
    finally:
        hosted.close()
    assert status == 200, reply
    outputs = {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in json.loads(reply)["outputs"]}
    assert outputs["boxes"].shape == (20, 4, 4)
    np.testing.assert_array_equal(outputs["label"] == 1, truth(x))
    np.testing.assert_array_equal(outputs["probability"] > 0.5, truth(x))


@pytest.mark.parametrize(("task", "message"), [("detection", "all classes"), (TASK, "expected detections")])
def test_a_model_that_detects_nothing_is_refused_before_the_pass(task: str, message: str, tmp_path: Path) -> None:
    class Labelled(Detector):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            found = super().forward(x)
            labels = {"labels": found["classes"].argmax(dim=2)} if task == "detection" else {}
            return {"boxes": found["boxes"], **labels, **({"scores": found["scores"]} if labels else {})}

    with pytest.raises(CaptureError, match=message):
        make(tmp_path / "b", model=Labelled().eval(), data=pictures(60, 1), task=task)
