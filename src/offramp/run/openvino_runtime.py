"""OpenVINO: exported stages, compiled for the sizes that occur; it reads the same ONNX files."""

import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import Type

from offramp.run.openvino_files import without_poolings
from offramp.run.pieces import Arrays, Layout, Pieces, RunPiece, doubling, even
from offramp.run.routing import StageFile
from offramp.run.staged import Staged

RAW = {Type.bf16: np.dtype(np.uint16)}
"""What carries types that NumPy has not."""

TRIED = 4
"""Runs that say which of two compiled stages is faster."""

PLAIN, LAST = openvino.Layout("NCHW"), openvino.Layout("NHWC")


class OpenVino(Staged):
    """Runs stages in OpenVINO on the processor.

    A stage is compiled anew for every size of a piece (powers of two, so that these are few): compiled for one size it
    is faster than for any, and what it hands on can stay in the layout of its convolutions. Where other sizes are open,
    as the length of texts, it is compiled once for all. Between stages tensors have the precision of the arithmetic.
    """

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

    def load(self, stage: StageFile) -> Pieces:
        """The stage, compiled when its sizes are known."""
        path = self._folder / stage.file
        made = _model(path, path.stat().st_mtime_ns, stage, self._threads, self._precision)
        return _Stage(stage, made, self._threads)


def computes_bf16() -> bool:
    """Whether the processor has instructions for bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class _Model:
    """A stage as OpenVINO reads it, and what was compiled of it."""

    def __init__(self, path: Path, stage: StageFile, threads: int, precision: str) -> None:
        self._path, self._stage, self._precision = path, stage, precision
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = threads
        self._compiled: dict[tuple[tuple[int, ...], ...], openvino.CompiledModel] = {}
        self._turn = threading.Lock()
        model = self._read()
        known = {one.any_name: one for one in model.inputs}  # the exporter drops inputs that are not read
        self.used = [name in known for name in stage.inputs]
        self.takes = [_takes(known[name]) if name in known else None for name in stage.inputs]
        self._rounds = any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
        self.open = any(layout is not None and -1 in layout[0] for layout in self.takes)

    def compiled(self, shapes: tuple[tuple[int, ...], ...]) -> openvino.CompiledModel:
        """For inputs of exactly these shapes, or of all shapes where more than the batch is open."""
        shapes = () if self.open else shapes
        with self._turn:
            if shapes not in self._compiled:
                self._compiled[shapes] = self._fastest(shapes)
            return self._compiled[shapes]

    def _fastest(self, shapes: tuple[tuple[int, ...], ...]) -> openvino.CompiledModel:
        """Compiled for these shapes, or for any.

        A stage that rounds is tried both ways: compiled for one size OpenVINO may compute in floats what it computes in
        integers otherwise (2026.4, the first layers of attention).
        """
        if self.open:
            return self._compile(())
        fixed = self._compile(shapes)
        if not self._rounds:
            return fixed
        known = [shape for shape, used in zip(shapes, self.used, strict=True) if used]
        ways = [fixed, self._any_size()]
        return min(ways, key=lambda way: _seconds(way, known))

    @cache  # noqa: B019  # as long-lived as the process, like the model itself
    def _any_size(self) -> openvino.CompiledModel:
        return self._compile(())

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> openvino.CompiledModel:
        """For these shapes; for any where there are none."""
        model = self._read()
        if shapes:
            pairs = zip(self._stage.inputs, shapes, self.used, strict=True)
            model.reshape({name: list(shape) for name, shape, used in pairs if used})
        return openvino.Core().compile_model(model, "CPU", self._options)

    def _read(self) -> openvino.Model:
        model = openvino.Core().read_model(str(self._path))
        without_poolings(model)
        stage, steps = self._stage, openvino.preprocess.PrePostProcessor(model)
        names = [one.any_name for one in model.inputs]
        inner = [name for name in stage.inputs if name in names and stage.inner(name)]
        for side, tensors in ((steps.input, inner), (steps.output, list(stage.state))):
            for name in tensors:
                port = model.input(name) if side == steps.input else model.output(name)
                self._as_computed(side(name), port)
        return steps.build()

    def _as_computed(self, step: Any, port: Any) -> None:
        """Lets a tensor between stages be what the arithmetic has: half as long, and with its channels last."""
        if self._precision == "bf16" and port.element_type == Type.f32:
            step.tensor().set_element_type(Type.bf16)
        if (self._precision == "bf16" or port.element_type in (Type.u8, Type.i8)) and len(port.partial_shape) == 4:
            step.tensor().set_layout(LAST)
            step.model().set_layout(PLAIN)


class _Stage(Pieces):
    def __init__(self, stage: StageFile, model: _Model, threads: int) -> None:
        super().__init__(stage, threads)
        self._model = model
        self.split = even if model.open else doubling

    def takes(self) -> Sequence[Layout | None]:
        return self._model.takes

    def gives(self, arrays: Arrays) -> Sequence[Layout]:
        compiled = self._model.compiled(tuple(array.shape for array in arrays))
        ports = {name: compiled.output(name) for name in self.stage.outputs}
        if all(port.partial_shape.is_static for port in ports.values()):
            return [(tuple(port.shape)[1:], _type(port)) for port in ports.values()]
        request = compiled.create_infer_request()
        for name, array, used in zip(self.stage.inputs, arrays, self._model.used, strict=True):
            if used:
                request.set_tensor(name, _tensor(array, compiled.input(name).element_type))
        request.infer()
        return [(tuple(request.get_tensor(name).shape)[1:], _type(port)) for name, port in ports.items()]

    def prepare(self, arrays: Arrays, outputs: Arrays) -> RunPiece:
        """A request whose outputs stay; of what comes from the user nothing is kept."""
        compiled = self._model.compiled(tuple(array.shape for array in arrays))
        request = compiled.create_infer_request()
        types = {name: port.element_type for port in (*compiled.inputs, *compiled.outputs) for name in port.names}
        for name, array in zip(self.stage.outputs, outputs, strict=True):
            request.set_tensor(name, _tensor(array, types[name]))
        used = [(index, name) for index, name in enumerate(self.stage.inputs) if self._model.used[index]]
        inner = [(index, name) for index, name in used if self.stage.inner(name)]
        own = [(name, openvino.Tensor(types[name], arrays[i].shape)) for i, name in used if not self.stage.inner(name)]
        outer = [(index, name) for index, name in used if not self.stage.inner(name)]
        places: dict[str, int] = {}

        def piece(given: Arrays) -> None:
            for index, name in inner:
                place = given[index].ctypes.data
                if places.get(name) != place:
                    request.set_tensor(name, _tensor(given[index], types[name]))
                    places[name] = place
            for index, name in outer:
                request.set_tensor(name, _tensor(given[index], types[name]))
            request.infer()
            for name, tensor in own:
                request.set_tensor(name, tensor)

        return piece


def _seconds(compiled: openvino.CompiledModel, shapes: Sequence[tuple[int, ...]]) -> float:
    """What a run takes, the least of a few."""
    request, taken = compiled.create_infer_request(), []
    for port, shape in zip(compiled.inputs, shapes, strict=True):
        request.set_tensor(port, openvino.Tensor(port.element_type, openvino.Shape(shape)))
    for _ in range(TRIED):
        start = time.perf_counter()
        request.infer()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _takes(port: Any) -> Layout:
    return tuple(size.get_length() if size.is_static else -1 for size in port.partial_shape)[1:], _type(port)


def _type(port: Any) -> np.dtype:
    found: np.dtype = RAW.get(port.element_type) or np.dtype(port.element_type.to_dtype())
    return found


def _tensor(array: np.ndarray, kind: Type) -> openvino.Tensor:
    """The array's memory as a tensor."""
    if kind in RAW:
        return openvino.Tensor(array, array.shape, kind)
    return openvino.Tensor(array, shared_memory=True)


@cache
def _model(path: Path, written: int, stage: StageFile, threads: int, precision: str) -> _Model:
    """One model for each file as it was written then."""
    return _Model(path, stage, threads, precision)
