"""What is done to a stage that the exporter has written."""

from pathlib import Path

import onnx

from offramp.run.routing import StageFile


def finish(path: Path, stage: StageFile) -> None:
    """Takes out what the exporter says of its own, and helps ONNX Runtime with maps; see `_blocked`."""
    model = onnx.load(path)
    _without_traces(model)
    _blocked(model.graph, stage)
    onnx.save(model, path)


def _without_traces(model: onnx.ModelProto) -> None:
    """Takes out where in whose files each node was traced, which is nobody's business."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def _blocked(graph: onnx.GraphProto, stage: StageFile) -> None:
    """Puts a max-pooling over single pixels, which changes nothing, behind each map that a stage begins with.

    ONNX Runtime computes convolutions in a blocked layout, which only a convolution or a pooling begins. Where a map
    goes into an addition as well, as in every residual block, that addition, and with it each one of the stage, would
    stay in the plain layout and be a pass of its own, not a part of the convolution before it. Convolutions of integers
    have another layout, so that nothing is done where a stage rounds.
    """
    if any(node.op_type == "QuantizeLinear" for node in graph.node):
        return
    maps = [
        one.name
        for one in graph.input
        if stage.inner(one.name)
        and len(one.type.tensor_type.shape.dim) == 4
        and one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and any(node.op_type == "Conv" and one.name in node.input for node in graph.node)
    ]
    for name in maps:
        inside = f"{name}_blocked"
        for node in graph.node:
            for position, value in enumerate(node.input):
                if value == name:
                    node.input[position] = inside
        graph.node.insert(0, onnx.helper.make_node("MaxPool", [name], [inside], name=inside, kernel_shape=[1, 1]))
