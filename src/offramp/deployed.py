"""An exported folder as a model: what `Bundle.use` is, without torch."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from offramp.errors import InputError, UnknownNameError
from offramp.run.executor import Executor
from offramp.run.model import EarlyExitModel
from offramp.run.routing import Routing, StageFile
from offramp.run.stage_seconds import ExecutorFor
from offramp.run.staged import Staged

UNCUT = "uncut"
"""The cut of the plain backbone."""

Runtime = Callable[[Path, Sequence[StageFile], StageFile, int], Staged]
"""Makes an executor of the stages in a folder, those of one cut and the uncut one, for so many threads."""

RUNTIMES = ("onnx", "openvino", "openvino-bf16")
"""What can run exported stages; `openvino-bf16` computes in bfloat16, where the processor can."""


def load(folder: Path | str, point: str | None = None, *, runtime: str = "onnx", threads: int = 0) -> EarlyExitModel:
    """The exported model, ready to be called with NumPy arrays.

    Args:
        folder: that `offramp export` wrote.
        point: the operating point to begin with; default the first.
        runtime: `onnx` (ONNX Runtime), `openvino` or `openvino-bf16`.
        threads: how many threads a stage may use; 0 for all cores.

    Raises:
        BundleError: if the folder is not one that was exported.
        UnknownNameError: if there is no such point or runtime.
        InputError: if the runtime is not installed, or was found not to answer as the model does.
    """
    folder = Path(folder)
    routing = Routing.read(folder)
    names = {**{name: name for name in routing.points}, **routing.aliases}
    active = point or next(iter(names))
    if active not in names:
        raise UnknownNameError.among("operating point", active, names)
    points = {name: routing.points[meant].configuration for name, meant in names.items()}
    bounds = {name: routing.points[meant].promise for name, meant in names.items()}
    return EarlyExitModel(
        executors(folder, routing, runtime, threads),
        points,
        routing.point_of,
        active,
        promises={name: bound for name, bound in bounds.items() if bound is not None},
        rule=routing.rule,
    )


def executors(folder: Path, routing: Routing, runtime: str, threads: int = 0) -> ExecutorFor:
    """What makes the executor for the exits of an operating point that was exported, or for none.

    Raises:
        UnknownNameError: if there is no such runtime.
        InputError: if the runtime is not installed, or answers otherwise than the model.
    """
    make = runtime_of(runtime)
    check_fit(runtime, routing.unfit)
    cuts = {entry.enabled: entry.cut for entry in routing.points.values()}

    def executor_for(enabled: tuple[bool, ...]) -> Executor:
        return make(folder, routing.cuts[cuts[enabled] if any(enabled) else UNCUT], routing.cuts[UNCUT][0], threads)

    return executor_for


def runtime_of(name: str) -> Runtime:
    """The executor of a runtime by name.

    Raises:
        UnknownNameError: if there is no such runtime.
        InputError: if its package is not installed, or the processor cannot do it.
    """
    if name not in RUNTIMES:
        raise UnknownNameError.among("runtime", name, RUNTIMES)
    try:
        if name == "onnx":
            from offramp.run.onnx_runtime import OnnxRuntime

            return OnnxRuntime
        from offramp.run.openvino_runtime import OpenVino, computes_bf16
    except ModuleNotFoundError as error:
        package = "onnxruntime" if name == "onnx" else "openvino"
        raise InputError(f"expected the package {package} to run stages; pip install {package}") from error
    if name == "openvino-bf16" and not computes_bf16():
        raise InputError("expected a processor that computes in bfloat16; use openvino")
    return partial(OpenVino, precision=name.partition("-")[2] or "f32")


def check_fit(runtime: str, unfit: Mapping[str, str]) -> None:
    """Refuses a runtime that was found to answer otherwise than the model.

    Raises:
        InputError: with what was found, and what else to use.
    """
    engine = runtime.partition("-")[0]
    if engine in unfit:
        others = " or ".join(name for name in RUNTIMES if name.partition("-")[0] not in unfit) or "PyTorch"
        raise InputError(f"expected stages that {engine} runs, but {unfit[engine]}; run them in {others}")


def available(name: str) -> bool:
    """Whether a back end can be used here; those that are no runtimes can."""
    if name not in RUNTIMES:
        return True
    try:
        runtime_of(name)
    except InputError:
        return False
    return True
