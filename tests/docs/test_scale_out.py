"""The page on many machines: its figures are those that were measured, its blocks for Ray run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from offramp.serve.capacity import loads
from tests.docs.blocks import blocks

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "docs" / "how-to" / "scale_out.md"
PAGE = PLACE.read_text()


def test_the_figures_of_the_page_follow_from_what_was_measured() -> None:
    found = json.loads((ROOT / "docs" / "results" / "capacity.json").read_text())
    told = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| (onnx|openvino) \|", line)]
    assert len(told) == 4
    for runtime, batch, point, stages, early, whole in told:
        [row] = [
            row
            for row in found["stages"]
            if (row["runtime"], str(row["batch"]), row["point"]) == (runtime, batch, point)
        ]
        each = loads(float(found["config"]["rate"]), row["shares"], row["seconds"], row["batch"], 0.7)
        assert stages == " + ".join(str(load.replicas) for load in each)
        assert early.replace(",", "") == str(sum(load.replicas for load in each))
        plain = loads(float(found["config"]["rate"]), (1.0,), (row["whole"],), row["batch"], 0.7)
        assert whole.replace(",", "") == str(plain[0].replicas)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_blocks_for_ray_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'offramp[ray]'")
    import yaml
    from ray import serve
    from ray.serve.schema import ServeDeploySchema

    from offramp.serve.ray import Arguments
    from tests.serve.cluster import cluster

    monkeypatch.chdir(tmp_path)
    [config] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    [application] = ServeDeploySchema.model_validate(yaml.safe_load(config)).applications
    Arguments(**application.args)
    served, made = [block for block in blocks(PLACE) if block.language == "python"]
    assert (served.duty, made.duty) == ("elsewhere", "executed")
    found: dict[str, Any] = {}
    with cluster():
        for block in (made, served):
            exec(compile(block.text, block.where, "exec"), found)
        deployments = serve.status().applications["toy"].deployments
        assert {"Ingress", "Stage0"} <= set(deployments)
        serve.shutdown()
