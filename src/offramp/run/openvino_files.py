"""Stages in OpenVINO's own format: a file with the graph and one with the weights, for each stage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openvino

from offramp.run.routing import StageFile


def converted(folder: Path, stages: Sequence[StageFile]) -> tuple[StageFile, ...]:
    """The same stages as `.xml` and `.bin`; the ONNX files are gone then."""
    found = []
    for stage in stages:
        source, target = folder / stage.file, (folder / stage.file).with_suffix(".xml")
        model = openvino.Core().read_model(str(source))
        without_poolings(model)
        openvino.save_model(model, str(target), compress_to_fp16=False)
        source.unlink()
        found.append(replace(stage, file=target.name))
    return tuple(found)


def without_poolings(model: openvino.Model) -> None:
    """Takes out the poolings over single pixels, which are there for ONNX Runtime."""
    for node in model.get_ops():
        if node.get_type_name() == "MaxPool" and _changes_nothing(node.get_attributes()):
            node.output(0).replace(node.input_value(0))


def _changes_nothing(pooling: Mapping[str, Any]) -> bool:
    """Whether a pooling is over single pixels, and over each of them."""
    return set(pooling["kernel"]) == {1} and set(pooling["strides"]) == {1} and set(pooling["pads_begin"]) == {0}
