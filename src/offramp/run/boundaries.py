"""What travels between stages of a quantised model: the eight bits, not the floats they stand for.

A cut behind a quantiser leaves DequantizeLinear at the end of one stage. It is moved to the beginning of the next one,
where convolutions read the integers themselves; the numbers are the same. Nothing is rounded that was not before.
"""

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from offramp.run.integers import Array, constant, initializer
from offramp.run.routing import StageFile

SAME_VALUES = ("Flatten", "Identity", "MaxPool", "Relu", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operations whose results are among the values they are given, or zero."""


def narrow(stages: Sequence[StageFile], folder: Path) -> int:
    """Changes the files of a cut so that states travel as integers where they are rounded; returns how many do."""
    models = [ir.load(folder / stage.file) for stage in stages]
    count = 0
    for place, stage in enumerate(stages[:-1]):
        for name in stage.state:
            given = _integers(models[place].graph, name)
            if given is not None:
                _take(models[place + 1].graph, name, *given)
                count += 1
    for stage, model in zip(stages, models, strict=True):
        ir.save(model, folder / stage.file)
    return count


def _integers(graph: ir.Graph, name: str) -> tuple[Array, Array] | None:
    """Makes an output one of integers; returns their scale and zero point, or None where it is not rounded."""
    place = next(index for index, value in enumerate(graph.outputs) if value.name == name)
    value = graph.outputs[place]
    node = value.producer()
    while node is not None and node.op_type in SAME_VALUES:
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    if node is None or node.op_type != "DequantizeLinear":
        return None
    scale, zero = constant(node.inputs[1]), constant(node.inputs[2])
    if scale is None or zero is None or scale.ndim:
        return None
    value.name = f"{name}_float"
    rounding = None if node.inputs[0] is None else node.inputs[0].producer()
    if node is not value.producer() or rounding is None or rounding.outputs[0].is_graph_output():
        rounding = ir.node("QuantizeLinear", [value, *node.inputs[1:]])
        graph.append(rounding)
    whole = rounding.outputs[0]
    whole.name, whole.shape, whole.type = name, value.shape, ir.TensorType(ir.DataType.from_numpy(zero.dtype))
    graph.outputs[place] = whole
    return scale, zero


def _take(graph: ir.Graph, name: str, scale: Array, zero: Array) -> None:
    """Makes an input one of integers."""
    value = next(value for value in graph.inputs if value.name == name)
    constants = [initializer(graph, f"{name}_scale", scale), initializer(graph, f"{name}_zero", zero)]
    node = ir.node("DequantizeLinear", [value, *constants])
    floats = node.outputs[0]
    floats.name, floats.shape, floats.type = f"{name}_float", value.shape, value.type
    ir.convenience.replace_all_uses_with(value, floats, replace_graph_outputs=True)
    node.replace_input_with(0, value)
    graph.insert_before(graph[0], node)
    value.type = ir.TensorType(ir.DataType.from_numpy(zero.dtype))
