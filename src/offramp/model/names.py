"""Which module a node of the graph is the output of: the public vocabulary of exit points is dotted module paths."""

from collections.abc import Iterable

from torch import fx, nn

from offramp.model.capture import Capture


def ends(captured: Capture, model: nn.Module) -> dict[fx.Node, str]:
    """The module path that names each node which is the last of some module's call.

    Among the modules that end at a node the outermost gives the name, except that a plain `nn.Sequential` yields to
    its last child, so that the blocks of a stage are called `layer1.0 … layer1.8` and not `layer1.0 … layer1`.
    Modules that are called more than once have no name here.
    """
    modules = dict(model.named_modules())
    nodes = [node for node in captured.graph_module.graph.nodes if node.op == "call_function"]
    stacks = [_stack(node) for node in nodes]
    named: dict[fx.Node, str] = {}
    finished: set[str] = set()
    repeated: set[str] = set()
    for node, stack, following in zip(nodes, stacks, [*stacks[1:], ()], strict=True):
        over = [path for path in stack if path not in following and path in modules]
        repeated.update(path for path in over if path in finished)
        finished.update(over)
        if over:
            named[node] = _outermost(over, modules)
    return {node: name for node, name in named.items() if name not in repeated}


def _stack(node: fx.Node) -> tuple[str, ...]:
    """Paths of the modules whose call the node belongs to, outermost first, the model itself left out."""
    entries: Iterable[tuple[str, object]] = (node.meta.get("nn_module_stack") or {}).values()
    return tuple(path for path, _ in entries if path)


def _outermost(paths: list[str], modules: dict[str, nn.Module]) -> str:
    for path in paths:
        if type(modules[path]) is not nn.Sequential:
            return path
    return paths[-1]
