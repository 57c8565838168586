"""Lets a torchvision built for CUDA be imported beside a CPU torch; does nothing where torchvision works.

PyPI's torchvision is a CUDA build. Its operators do not load on a CPU torch, and the import then fails, since
it describes operators that do not exist (https://github.com/pytorch/vision/issues/9085). With their schemas
declared, models and transforms work; detection, which runs the operators, works after `install_detection`. The shim
can go when that import succeeds.
"""

import importlib
import sys
from functools import cache

import torch

from benchmarks.detection.nms import kept

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_KEPT: list[torch.library.Library] = []  # schemas vanish with the library object that declared them


def install() -> None:
    """Imports torchvision, with the schemas declared if it does not import without."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for schema in _SCHEMAS:
            library.define(schema)  # type: ignore[no-untyped-call]
        _KEPT.append(library)
        importlib.import_module("torchvision")


@cache
def install_detection() -> None:
    """Imports torchvision, with what its detectors run on a CPU if it has not its own operators.

    Pooling of regions falls back to torchvision's own code in Python, which would be compiled at its first call; it
    is taken as it is, so that no compiler is needed.
    """
    install()
    if importlib.import_module("torchvision.extension")._has_ops():
        return
    library = torch.library.Library("torchvision", "IMPL")  # type: ignore[no-untyped-call]
    library.impl("nms", _nms, "CPU")  # type: ignore[no-untyped-call]
    _KEPT.append(library)
    boxes, pooling = (importlib.import_module(f"torchvision.ops.{name}") for name in ("boxes", "roi_align"))
    boxes.__dict__["_assert_has_ops"] = lambda: None
    pooling.__dict__["_roi_align"] = pooling.__dict__["_roi_align"].__wrapped__


def _nms(boxes: torch.Tensor, scores: torch.Tensor, overlap: float) -> torch.Tensor:
    """Indices of the boxes `(N, 4)` kept, best first."""
    return torch.from_numpy(kept(boxes.detach().numpy(), scores.detach().numpy(), overlap))
