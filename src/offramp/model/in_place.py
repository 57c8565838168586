"""In-place operations whose effect is seen under another name than that of their result.

Cutting a graph follows data from node to node. `y = x.relu_()` is no trouble where only `y` is read afterwards. But
after `v = x[:, 0]; v.add_(1)`, a reader of `x` depends on an addition that no chain of names leads to.
"""

from collections.abc import Iterator

import torch
from torch import fx
from torch.utils import _pytree as pytree


def hidden(graph: fx.Graph) -> bool:
    """Whether a tensor is changed in place and then read under a name that is older than the change."""
    position = {node: index for index, node in enumerate(graph.nodes)}
    seen: dict[int, list[fx.Node]] = {}
    for node in graph.nodes:
        older = [other for changed in _changed(node) for memory in _memory(changed) for other in seen.get(memory, [])]
        if any(position[user] > position[node] for other in older for user in other.users):
            return True
        for memory in _memory(node):
            seen.setdefault(memory, []).append(node)
    return False


def attributes(graph: fx.Graph) -> list[str]:
    """The buffers and parameters that are changed in place."""
    owner: dict[int, str] = {}
    for node in graph.find_nodes(op="get_attr"):
        owner |= dict.fromkeys(_memory(node), str(node.target))
    touched = [memory for node in graph.nodes for changed in _changed(node) for memory in _memory(changed)]
    return sorted({owner[memory] for memory in touched if memory in owner})


def _changed(node: fx.Node) -> Iterator[fx.Node]:
    """The arguments that a node writes to."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target is torch.ops.aten.detach_.default:
        return  # `detach_` is said to write, but changes no number
    for index, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        given = node.args[index] if index < len(node.args) else node.kwargs.get(argument.name)
        yield from (leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, fx.Node))


def _memory(node: fx.Node) -> set[int]:
    """Which pieces of memory the value of a node lies in; views share theirs with what they look at."""
    values = pytree.tree_leaves(node.meta.get("val"))
    return {value.untyped_storage()._cdata for value in values if isinstance(value, torch.Tensor)}
