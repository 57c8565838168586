"""KServe's client, in an environment of its own, against a real process."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builds import bundle, images
from tests.serve.process import Running

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("OFFRAMP_KSERVE", ROOT / ".venv-kserve" / "bin" / "python"))


@pytest.fixture(scope="module")
def seen(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not PYTHON.exists():
        pytest.skip("there is no environment with KServe's client; `make clients` makes one")
    x = tmp_path_factory.mktemp("inputs") / "x.npy"
    np.save(x, images(8, 5).numpy())
    command = [
        str(PYTHON),
        str(Path(__file__).with_name("kserve_client.py")),
        f"http://127.0.0.1:{server.port}",
        str(x),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_health_and_metadata(seen: Any) -> None:
    assert (seen["live"], seen["ready"], seen["model"], seen["other"]) == (True, True, True, False)
    assert seen["metadata"]["inputs"] == [{"name": "input0", "datatype": "FP32", "shape": [-1, 3, 12, 12]}]


@pytest.mark.parametrize(("way", "point", "name"), [("json", "balanced", "a"), ("binary", "full", "b")])
def test_answers_are_those_of_the_bundle(seen: Any, way: str, point: str, name: str) -> None:
    expected, found = bundle().use(point)(images(8, 5)), seen[way]
    assert found["id"] == name
    assert found["parameters"]["operating_point"] == bundle().point(point).name
    np.testing.assert_allclose(found["logits"], expected.output.numpy(), rtol=1e-4, atol=1e-5)
    assert found["exit_index"] == expected.exit_index.tolist()
    assert found["label"] == expected.output.argmax(1).tolist()
    assert seen["nameless"]  # the client gives a name of its own


def test_errors_reach_the_user(seen: Any) -> None:
    assert [one["status"] for one in seen["errors"]] == [404, 400, 400, 404, 400]
    for one, message in zip(seen["errors"], ["model toy", "shape", "finite", "operating point", "inputs"], strict=True):
        assert list(one["body"]) == ["error"]
        assert message in one["body"]["error"]
        assert one["body"]["error"] in one["message"]


def test_parameters_survive_batches(seen: Any) -> None:
    points = ["full", "balanced", "fastest"]
    expected = {point: bundle().use(point)(images(8, 5)).exit_index.tolist() for point in points}
    assert len(seen["together"]) == 60
    for number, found in enumerate(seen["together"]):
        point = points[number % 3]
        assert found["id"] == str(number)
        assert found["parameters"]["operating_point"] == bundle().point(point).name
        assert found["exit_index"] == [expected[point][number % 8]]
