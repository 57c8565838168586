"""ONNX Runtime: exported stages, one session each."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from offramp.run.routing import StageFile
from offramp.run.staged import Arrays, RunStage, Staged


class OnnxRuntime(Staged):
    """Runs stages in ONNX Runtime on the processor.

    Sessions do not spin while they wait: several sessions that do take the processor from each other.
    """

    def __init__(self, folder: Path, stages: Sequence[StageFile], uncut: StageFile, threads: int = 0) -> None:
        """The stages in a folder; `threads`: how many a session may use, 0 for all cores."""
        self._folder, self._threads = folder, threads
        super().__init__(stages, uncut)

    def load(self, stage: StageFile) -> RunStage:
        """A session of its own."""
        path = self._folder / stage.file
        session = _session(path, path.stat().st_mtime_ns, self._threads)
        names = [one.name for one in session.get_inputs()]

        def run(arrays: Arrays) -> Arrays:
            given = dict(zip(stage.inputs, arrays, strict=True))
            found: list[np.ndarray] = session.run(stage.outputs, {name: given[name] for name in names})
            return found

        return run


@cache
def _session(path: Path, written: int, threads: int) -> onnxruntime.InferenceSession:
    """One session for each file as it was written then."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
