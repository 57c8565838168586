"""OpenVINO: exported stages, one compiled model each; it reads the same ONNX files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

import openvino

from offramp.run.routing import StageFile
from offramp.run.staged import Arrays, RunStage, Staged


class OpenVino(Staged):
    """Runs stages in OpenVINO on the processor."""

    def __init__(
        self,
        folder: Path,
        stages: Sequence[StageFile],
        uncut: StageFile,
        threads: int = 0,
        precision: str = "f32",
    ) -> None:
        """The stages in a folder.

        Args:
            folder: that was exported.
            stages: of one cut.
            uncut: the plain backbone.
            threads: how many a stage may use, 0 for all cores.
            precision: of the inner arithmetic, `f32` or `bf16`.
        """
        self._folder, self._threads, self._precision = folder, threads, precision
        super().__init__(stages, uncut)

    def load(self, stage: StageFile) -> RunStage:
        """A compiled model of its own; one request, on which threads take turns."""
        path = self._folder / stage.file
        compiled = _compiled(path, path.stat().st_mtime_ns, self._threads, self._precision)
        ports = [compiled.output(name) for name in stage.outputs]
        names = [port.any_name for port in compiled.inputs]
        request, turn = compiled.create_infer_request(), Lock()

        def run(arrays: Arrays) -> Arrays:
            given = dict(zip(stage.inputs, arrays, strict=True))
            with turn:
                found = request.infer({name: given[name] for name in names}, share_inputs=True)
                return [found[port] for port in ports]

        return run


@cache
def _compiled(path: Path, written: int, threads: int, precision: str) -> openvino.CompiledModel:
    """One model for each file as it was written then."""
    options = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(str(path), "CPU", options)
