"""Lets a torchvision built for CUDA be imported beside a CPU torch; does nothing where torchvision works.

PyPI's torchvision is a CUDA build. Its operators do not load on a CPU torch, and the import then fails, since
it describes operators that do not exist (https://github.com/pytorch/vision/issues/9085). With their schemas
declared, models and transforms work; detection, which runs the operators, does not. The shim can go when that
import succeeds.
"""

import importlib
import sys

import torch

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
