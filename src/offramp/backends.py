"""Back ends by name, for a bundle on its backbone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from offramp.bundle import Bundle
from offramp.deployed import executors as exported
from offramp.errors import InputError, UnknownNameError
from offramp.exporting import export
from offramp.gates import gate
from offramp.inputs import device_of
from offramp.progress import Progress, silent
from offramp.run.choice import executor
from offramp.run.model import ExecutorFor
from offramp.run.routing import Routing

NAMES = ("eager", "compile", "cuda-graphs", "onnx", "openvino", "openvino-bf16")
"""All back ends."""


def executors(
    bundle: Bundle,
    names: Sequence[str],
    points: Sequence[str],
    folder: Path,
    threads: int = 0,
    progress: Progress = silent,
) -> dict[str, ExecutorFor]:
    """What makes the executors of each back end.

    Args:
        bundle: attached to its backbone.
        names: of back ends.
        points: the operating points that exported stages are for.
        folder: empty; where stages are exported to, if any back end needs them.
        threads: of exported stages; 0 for all cores.
        progress: told how far exporting is.

    Raises:
        UnknownNameError: listing the back ends there are.
        InputError: if the model is not where a back end needs it.
    """
    unknown = next((name for name in names if name not in NAMES), None)
    if unknown is not None:
        raise UnknownNameError.among("back end", unknown, NAMES)
    live = bundle.multi_exit
    if live is None:
        raise InputError("expected a bundle attached to its backbone; call attach(model) first")
    parts = (live, bundle.task.logits_of, gate(bundle.manifest.gate), bundle.calibrators)
    found: dict[str, ExecutorFor] = {}
    routing: Routing | None = None
    for name in names:
        if name == "eager":
            found[name] = partial(executor, *parts)
        elif name == "compile":
            from offramp.run.torch_compile import TorchCompiled  # not above: it is slow to import

            found[name] = partial(TorchCompiled, *parts)
        elif name == "cuda-graphs":
            if device_of(live.backbone.model).type != "cuda":
                raise InputError("expected the model on a CUDA device for cuda-graphs; move it there or leave them out")
            from offramp.run.cuda_graphs import CudaGraphs

            found[name] = partial(CudaGraphs, *parts)
        else:
            routing = routing or export(bundle, folder / "stages", points, progress)
            found[name] = exported(folder / "stages", routing, name, threads)
    return found
