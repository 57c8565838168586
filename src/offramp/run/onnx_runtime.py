"""ONNX Runtime: exported stages, one session each."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from offramp.errors import BundleError
from offramp.run.pieces import Arrays, Layout, Pieces, RunPiece
from offramp.run.routing import StageFile
from offramp.run.staged import Staged

TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
"""ONNX Runtime's names of types."""


class OnnxRuntime(Staged):
    """Runs stages in ONNX Runtime on the processor.

    Sessions do not spin while they wait: several sessions that do take the processor from each other. They share one
    arena of memory, so that a stage finds in the caches what the stage before it had there.
    """

    def __init__(self, folder: Path, stages: Sequence[StageFile], uncut: StageFile, threads: int = 0) -> None:
        """The stages in a folder; `threads`: how many a session may use, 0 for all cores."""
        self._folder, self._threads = folder, threads
        super().__init__(stages, uncut)

    def load(self, stage: StageFile) -> Pieces:
        """A session of its own.

        Raises:
            BundleError: if the file is not one of ONNX.
        """
        if not stage.file.endswith(".onnx"):
            raise BundleError(
                f"expected ONNX files for ONNX Runtime, got {stage.file} of OpenVINO; use the runtime openvino, or "
                "export with --format onnx"
            )
        path = self._folder / stage.file
        return _Session(stage, _session(path, path.stat().st_mtime_ns, self._threads), self._threads)


class _Session(Pieces):
    def __init__(self, stage: StageFile, session: onnxruntime.InferenceSession, threads: int) -> None:
        super().__init__(stage, threads)
        self._session = session
        known = {one.name: one for one in session.get_inputs()}  # the exporter drops inputs that are not read
        self._used = [name in known for name in stage.inputs]
        self._takes = [_layout(known[name]) if name in known else None for name in stage.inputs]

    def takes(self) -> Sequence[Layout | None]:
        return self._takes

    def gives(self, arrays: Arrays) -> Sequence[Layout]:
        """Found out by running it."""
        given = {name: one for name, one, used in zip(self.stage.inputs, arrays, self._used, strict=True) if used}
        found = self._session.run(self.stage.outputs, given)
        return [(array.shape[1:], array.dtype) for array in found]

    def prepare(self, arrays: Arrays, outputs: Arrays) -> RunPiece:
        """A binding, whose outputs stay and whose inputs are bound where their memory is another than before."""
        binding = self._session.io_binding()
        for name, array in zip(self.stage.outputs, outputs, strict=True):
            binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        used = [(index, name) for index, name in enumerate(self.stage.inputs) if self._used[index]]
        kinds = {name: (arrays[index].dtype.type, arrays[index].shape) for index, name in used}
        places: dict[str, int] = {}
        run = self._session.run_with_iobinding

        def piece(given: Arrays) -> None:
            for index, name in used:
                place = given[index].ctypes.data
                if places.get(name) != place:
                    binding.bind_input(name, "cpu", 0, *kinds[name], place)
                    places[name] = place
            run(binding)

        return piece


def _layout(one: Any) -> Layout:
    return tuple(size if isinstance(size, int) else -1 for size in one.shape[1:]), np.dtype(TYPES[one.type])


_turn = threading.Lock()


@cache
def _arena() -> None:
    """One arena for all sessions of the process; where somebody has registered one, it is that."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    with contextlib.suppress(onnxruntime.capi.onnxruntime_pybind11_state.Fail, RuntimeError):
        onnxruntime.create_and_register_allocator(memory, None)


@cache
def _session(path: Path, written: int, threads: int) -> onnxruntime.InferenceSession:
    """One session for each file as it was written then."""
    with _turn:
        _arena()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
