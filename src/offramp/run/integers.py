"""Rounding inside a stage as ONNX says it, and weights as the integers they are rounded to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from onnxscript import opset18 as op

from offramp.model.quantiser import rounded

Array = np.ndarray


def _rounded(x: Any, scale: Any, zero_point: Any, axis: int) -> Any:
    whole = op.QuantizeLinear(x, scale, zero_point, axis=axis)
    return op.DequantizeLinear(whole, scale, zero_point, axis=axis)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {rounded._opoverload: _rounded}
"""What the exporter does not know: how our own operations are said in ONNX."""


def settle(model: ir.Model) -> None:
    """Makes integers of all weights that are rounded, and takes the batch norms behind convolutions into them.

    Runtimes do this only in part: a weight in floating point takes four times the space, and ONNX Runtime computes a
    convolution with integers only where its own output is rounded, without a norm in between.
    """
    for node in list(model.graph):
        if node.op_type == "QuantizeLinear":
            _make_whole(model.graph, node)
    for node in list(model.graph):
        if node.op_type == "Conv":
            _take_norm(model.graph, node)
    if any(node.op_type == "QuantizeLinear" for node in model.graph):
        for node in list(model.graph):
            if node.op_type in ("ReduceMean", "ReduceSum"):
                _sum_in_four_axes(model.graph, node)
    for name, value in list(model.graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del model.graph.initializers[name]


def constant(value: ir.Value | None) -> Array | None:
    """The numbers that a value always has; None where it has none."""
    found = None if value is None else ir.convenience.get_const_tensor(value)
    return None if found is None else found.numpy()


def initializer(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """A new constant of the graph, which has no value of that name."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.initializers[name] = value
    return value


def _make_whole(graph: ir.Graph, node: ir.Node) -> None:
    """Rounds a constant once and for all."""
    weight, scale, zero = map(constant, node.inputs)
    if weight is None or scale is None or zero is None:
        return
    shape = [1] * weight.ndim
    if scale.ndim:
        shape[node.attributes["axis"].as_int()] = -1
    limits = np.iinfo(zero.dtype)
    whole = np.rint(weight / scale.reshape(shape)) + zero.reshape(shape)
    value = initializer(graph, f"{node.outputs[0].name}_whole", whole.clip(limits.min, limits.max).astype(zero.dtype))
    ir.convenience.replace_all_uses_with(node.outputs[0], value)
    graph.remove(node, safe=True)


def _take_norm(graph: ir.Graph, conv: ir.Node) -> None:
    """Takes the batch norm behind a convolution into its scales and bias: the integers stay what they are."""
    norm, weight = _only_user(conv.outputs[0], "BatchNormalization"), conv.inputs[1]
    dequantise = None if weight is None else weight.producer()
    if norm is None or weight is None or dequantise is None or dequantise.op_type != "DequantizeLinear":
        return
    numbers = [constant(value) for value in (*dequantise.inputs, *norm.inputs[1:], *conv.inputs[2:])]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or len(weight.uses()) > 1:
        return
    whole, scale, zero, gain, shift, mean, variance, *bias = known
    gain = gain / np.sqrt(variance + norm.attributes["epsilon"].as_float())
    turned = gain < 0
    if zero.any() or (whole[turned] == np.iinfo(whole.dtype).min).any():
        return  # the negative of such a weight is no integer of its type
    name = conv.outputs[0].name
    whole = np.where(turned.reshape(-1, *[1] * (whole.ndim - 1)), -whole, whole).astype(whole.dtype)
    replaced = {
        (dequantise, 0): initializer(graph, f"{name}_whole", whole),
        (dequantise, 1): initializer(graph, f"{name}_scale", (scale * np.abs(gain)).astype(np.float32)),
        (conv, 2): initializer(graph, f"{name}_bias", (shift + (sum(bias) - mean) * gain).astype(np.float32)),
    }
    conv.resize_inputs(3)
    for (node, index), value in replaced.items():
        node.replace_input_with(index, value)
    result = norm.outputs[0].name
    ir.convenience.replace_all_uses_with(norm.outputs[0], conv.outputs[0], replace_graph_outputs=True)
    graph.remove(norm, safe=True)
    conv.outputs[0].name = result


def _sum_in_four_axes(graph: ir.Graph, node: ir.Node) -> None:
    """Gives what is summed a fourth axis, if it has three: of three axes OpenVINO (2026.4) sums integers wrongly."""
    value, axes, result = node.inputs[0], constant(node.inputs[1]), node.outputs[0]
    if value is None or value.shape is None or len(value.shape) != 3 or axes is None or 0 in axes % 3:
        return
    name = result.name
    new = initializer(graph, f"{name}_new", np.array([1]))  # not the last, along which ONNX Runtime sums fastest
    wider, narrower = ir.node("Unsqueeze", [value, new]), ir.node("Squeeze", [result, new])
    summed = narrower.outputs[0]
    summed.shape, summed.type = result.shape, result.type
    ir.convenience.replace_all_uses_with(result, summed, replace_graph_outputs=True)
    narrower.replace_input_with(0, result)
    node.replace_input_with(0, wider.outputs[0])
    node.replace_input_with(1, initializer(graph, f"{name}_axes", axes % 3 + 1))
    wider.outputs[0].name, result.name, result.shape, summed.name = f"{name}_given", f"{name}_of_four", None, name
    graph.insert_before(node, wider)
    graph.insert_after(node, narrower)


def _only_user(value: ir.Value, kind: str) -> ir.Node | None:
    """The one node that uses a value, if it is of this kind."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and uses[0].node.op_type == kind and not value.is_graph_output() else None
