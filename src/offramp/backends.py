"""Back ends by name, for a multi-exit model."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from offramp.deployed import check_fit, runtime_of
from offramp.errors import InputError, UnknownNameError
from offramp.exporting import Cuts
from offramp.inputs import device_of
from offramp.live import Live
from offramp.run.choice import executor
from offramp.run.executor import Executor
from offramp.run.stage_seconds import ExecutorFor

NAMES = ("eager", "compile", "cuda-graphs", "onnx", "openvino", "openvino-bf16")
"""All back ends."""


def check_backends(names: Sequence[str]) -> None:
    """Nothing, if there are back ends of these names.

    Raises:
        UnknownNameError: listing the back ends there are.
    """
    unknown = next((name for name in names if name not in NAMES), None)
    if unknown is not None:
        raise UnknownNameError.among("back end", unknown, NAMES)


def executors(live: Live, names: Sequence[str], folder: Path, threads: int = 0) -> dict[str, ExecutorFor]:
    """What makes the executors of each back end.

    Args:
        live: the model.
        names: of back ends.
        folder: where stages are exported to when a set of exits is first asked for, if any back end needs them.
        threads: of exported stages; 0 for all cores.

    Raises:
        UnknownNameError: listing the back ends there are.
        InputError: if the model is not where a back end needs it, or a package is missing.
    """
    check_backends(names)
    parts = (live.multi_exit, live.logits_of, live.gate, live.calibrators)
    found: dict[str, ExecutorFor] = {}
    cuts: Cuts | None = None
    for name in names:
        if name == "eager":
            found[name] = partial(executor, *parts)
        elif name == "compile":
            from offramp.run.torch_compile import TorchCompiled  # not above: it is slow to import

            found[name] = partial(TorchCompiled, *parts)
        elif name == "cuda-graphs":
            if device_of(live.multi_exit.backbone.model).type != "cuda":
                raise InputError("expected the model on a CUDA device for cuda-graphs; move it there or leave them out")
            from offramp.run.cuda_graphs import CudaGraphs

            found[name] = partial(CudaGraphs, *parts)
        else:
            cuts = cuts or Cuts(live, folder)
            runtime_of(name)  # refused now, if it is not there
            found[name] = partial(_exported, name, cuts, threads)
    return found


def _exported(runtime: str, cuts: Cuts, threads: int, enabled: tuple[bool, ...]) -> Executor:
    files, uncut = cuts.of(enabled), cuts.uncut
    check_fit(runtime, cuts.unfit)
    return runtime_of(runtime)(cuts.folder, files, uncut, threads)
