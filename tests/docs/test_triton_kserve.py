"""The recipe for Triton and KServe, as far as it can be checked where neither runs.

Configurations are read by Triton's own schema; the router runs against a stand-in for the module that Triton gives its
Python backend, in which ONNX Runtime answers for the models of the repository.
"""

import asyncio
import importlib.util
import json
import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tritonclient
import yaml
from typer.testing import CliRunner

from offramp import deployed
from offramp.cli.commands import app
from tests.builds import images
from tests.exports import exported

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def schema() -> Any:
    """Triton's `model_config_pb2`, without the packages that its client needs to make calls."""
    place = Path(tritonclient.__path__[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", place)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("triton") / "stages", ("early", "sooner", "full"))


@pytest.fixture(scope="module")
def repository(folder: Path) -> Path:
    made = folder.with_name("repository")
    made.mkdir()
    runpy.run_path(str(HOW_TO / "triton_repository.py"))["main"](folder, "toy", "early", made)
    return made


def configs(repository: Path) -> dict[str, Any]:
    from google.protobuf import text_format

    found = {}
    for path in repository.glob("*/config.pbtxt"):
        found[path.parent.name] = text_format.Parse(path.read_text(), schema().ModelConfig())
    return found


def test_every_model_has_a_configuration_that_triton_reads(repository: Path) -> None:
    found = configs(repository)
    assert sorted(found) == ["toy", "toy_stage0", "toy_stage1"]
    for name, config in found.items():
        assert config.name == name
        assert config.max_batch_size == 64
        kind = "model.py" if config.backend == "python" else "model.onnx"
        assert (repository / name / "1" / kind).exists()
        assert all(len(one.dims) > 0 for one in (*config.input, *config.output))  # Triton refuses empty ones
    assert [one.name for one in found["toy"].output] == ["logits", "label", "exit_index", "confidence"]
    assert list(found["toy"].input[0].dims) == [3, 12, 12]
    assert found["toy_stage0"].HasField("dynamic_batching")


def test_configurations_say_what_the_files_are(repository: Path) -> None:
    kinds = schema().DataType
    for name, config in configs(repository).items():
        if config.backend != "onnxruntime":
            continue
        session = onnxruntime.InferenceSession(str(repository / name / "1" / "model.onnx"))
        for told, real in zip(
            (*config.input, *config.output), (*session.get_inputs(), *session.get_outputs()), strict=True
        ):
            assert told.name == real.name
            sizes = [size if isinstance(size, int) else -1 for size in real.shape[1:]]
            assert list(told.dims) == (sizes or [1])
            assert told.HasField("reshape") == (not sizes)
            assert kinds.Name(told.data_type) == {"tensor(float)": "TYPE_FP32"}[real.type]


class StandIn(types.ModuleType):
    """`triton_python_backend_utils`, where the models of a repository are answered by ONNX Runtime."""

    def __init__(self, repository: Path) -> None:
        super().__init__("triton_python_backend_utils")
        shapes = {
            name: {one.name: list(one.dims) for one in found.output} for name, found in configs(repository).items()
        }

        class Tensor:
            def __init__(self, name: str, array: np.ndarray) -> None:
                self.name, self.array = name, array

            def as_numpy(self) -> np.ndarray:
                return self.array

        class Reply:
            def __init__(self, output_tensors: list[Any], error: Any = None) -> None:
                self.tensors, self.said = output_tensors, error

            def has_error(self) -> bool:
                return self.said is not None

            def error(self) -> Any:
                return self.said

        class TritonError(Exception):
            def message(self) -> str:
                return str(self)

        class InferenceRequest:
            def __init__(self, model_name: str, requested_output_names: list[str], inputs: list[Any]) -> None:
                self.model, self.names, self.inputs = model_name, requested_output_names, inputs

            async def async_exec(self) -> Reply:
                await asyncio.sleep(0)
                if any(not np.isfinite(one.array).all() for one in self.inputs):
                    return Reply([], TritonError("not finite"))
                session = onnxruntime.InferenceSession(str(repository / self.model / "1" / "model.onnx"))
                found = session.run(self.names, {one.name: one.array for one in self.inputs})
                told = {
                    name: array.reshape(len(array), *shapes[self.model][name]) if array.ndim == 1 else array
                    for name, array in zip(self.names, found, strict=True)
                }
                return Reply([Tensor(name, array) for name, array in told.items()])

        self.Tensor, self.InferenceRequest = Tensor, InferenceRequest
        self.InferenceResponse, self.TritonError = Reply, TritonError

    def get_input_tensor_by_name(self, request: Any, name: str) -> Any:
        return next(one for one in request.inputs if one.name == name)

    def get_output_tensor_by_name(self, reply: Any, name: str) -> Any:
        return next(one for one in reply.tensors if one.name == name)


class Request:
    def __init__(self, inputs: list[Any], told: str) -> None:
        self.inputs, self.told = inputs, told

    def parameters(self) -> str:
        return self.told


def test_the_router_answers_as_the_exported_model_does(
    repository: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = StandIn(repository)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton)
    model = runpy.run_path(str(repository / "toy" / "1" / "model.py"))["TritonPythonModel"]()
    model.initialize({"model_repository": str(repository / "toy"), "model_version": "1"})
    wishes = ["", '{"operating_point": "sooner"}', '{"operating_point": "x"}', ""]
    several = [images(size, size).numpy() for size in (30, 20, 2, 3)]
    several[3][1] = np.nan
    requests = [Request([triton.Tensor("input0", x)], told) for x, told in zip(several, wishes, strict=True)]
    found = asyncio.run(model.execute(requests))
    for reply, x, point in zip(found, several, ("early", "sooner"), strict=False):
        expected = deployed.load(folder, point, threads=1)(x)
        said = {one.name: one.array for one in reply.tensors}
        np.testing.assert_array_equal(said["exit_index"][:, 0], expected.exit_index)
        np.testing.assert_array_equal(said["label"][:, 0], expected.output.argmax(1))
        np.testing.assert_allclose(said["logits"], expected.output, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(said["confidence"][:, 0], expected.score, rtol=1e-4)
        assert len(np.unique(expected.exit_index)) > 1
        declared = {one.name: one for one in configs(repository)["toy"].output}
        assert all(said[name].shape[1:] == tuple(one.dims) for name, one in declared.items())
    assert "expected an operating point among early, sooner" in found[2].error().message()
    assert "not finite" in found[3].error().message()


def test_rules_with_a_memory_are_refused(folder: Path, tmp_path: Path) -> None:
    told = json.loads((folder / "routing.json").read_text()) | {"rule": "patience"}
    (tmp_path / "routing.json").write_text(json.dumps(told))
    with pytest.raises(SystemExit, match="use offramp serve"):
        runpy.run_path(str(HOW_TO / "triton_repository.py"))["main"](tmp_path, "toy", "early", tmp_path / "r")


def test_the_inference_service_starts_the_server_as_it_can_be_started() -> None:
    found = yaml.safe_load((HOW_TO / "kserve" / "inference_service.yaml").read_text())
    assert (found["apiVersion"], found["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    [container] = found["spec"]["predictor"]["containers"]
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", (HOW_TO / "kserve" / "Dockerfile").read_text(), re.MULTILINE)
    assert entry is not None
    command = [*json.loads(entry[1]), *container["args"]]
    assert command[:2] == ["offramp", "serve"]
    refused = CliRunner().invoke(app, [*command[1:2], "/nowhere", *command[3:]])
    assert "No such option" not in refused.output
    assert refused.exception is None or "/nowhere" in str(refused.exception)  # all flags are understood
    port = container["ports"][0]["containerPort"]
    assert command[command.index("--port") + 1] == str(port)
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == port
        assert container[probe]["httpGet"]["path"].startswith("/v2/health/")
