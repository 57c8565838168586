"""Other tasks behind the server: what it tells, what audits measure, and when they raise an alarm."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.decide.drift import DriftTest
from offramp.serve.describe import outputs
from offramp.serve.endpoint import Endpoint, Wish
from offramp.serve.loading import from_bundle
from offramp.serve.monitor import Audits
from offramp.serve.watch import Watch
from tests.serve.asgi import INFER, Hosted
from tests.serve.world import Ears
from tests.tasks.built import TASKS, bundle, problem, saving

BOTH = pytest.mark.parametrize("task", TASKS)


@BOTH
def test_a_server_tells_what_the_task_says(task: str, tmp_path: Path) -> None:
    found, x = bundle(task), problem(task).arrays()[0][:20]
    made = from_bundle(found, "eager", tmp_path, "toy")
    told = ["labels", "probability"] if task == "multilabel" else ["value", "spread"]
    assert list(outputs(made)) == ["logits", *told, "exit_index", "confidence"]
    hosted = Hosted(made)
    body = {"inputs": [{"name": "input0", "shape": [20, 64], "datatype": "FP32", "data": x.numpy().ravel().tolist()}]}

    async def asked() -> tuple[Any, Any]:
        status, _, said = await hosted.ask(INFER, json.dumps(body).encode())
        assert status == 200, said
        _, _, about = await hosted.ask("/v2/models/toy", b"", "GET")
        return json.loads(said), json.loads(about)

    try:
        said, about = asyncio.run(asked())
    finally:
        hosted.close()
    given = {one["name"]: one for one in said["outputs"]}
    expected = found.task.told(found.use(made.active)(x).output.numpy())
    for name in told:
        np.testing.assert_allclose(np.reshape(given[name]["data"], given[name]["shape"]), expected[name], rtol=1e-4)
        (shape,) = (one["shape"] for one in about["outputs"] if one["name"] == name)
        assert shape == [-1, *given[name]["shape"][1:]]


@BOTH
def test_audits_measure_the_loss_of_the_task(task: str, tmp_path: Path) -> None:
    found, x = bundle(task), problem(task).arrays()[0][:80]
    made = from_bundle(found, "eager", tmp_path, "toy")
    watch = Watch(made, Audits(1.0), lambda _: None)
    endpoint, ears, point = Endpoint(made, watch, audit_share=1.0), Ears(), saving(found)
    try:
        endpoint.ask({"input0": x.numpy()}, Wish(point), ears)
        ears.finals(80)
    finally:
        assert endpoint.engine.close(20.0)
    early, plain = (found.use(name)(x).output.numpy() for name in (point, "full"))
    expected = found.task.disagreement(early[None], plain)[0].mean()
    assert watch.auditor.found(made.point(point)[0]).disagreement == pytest.approx(expected, abs=0.02)


def test_alarms_take_losses_that_are_shares() -> None:
    """Of four labels each wrong with probability p: the mean loss is p, and the alarm is about that."""
    generator = np.random.default_rng(0)
    for rate, broken in ((0.03, False), (0.08, True)):
        losses = (generator.random((4_000, 4)) < rate).mean(axis=1)
        audited = np.where(generator.random(4_000) < 0.2, losses / 0.2, 0.0)
        test = DriftTest(0.04, largest=5.0)
        assert (test.step(test.start(), audited).alarm is not None) is broken
