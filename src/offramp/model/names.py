"""Which module a node of the graph is the output of: the public vocabulary of exit points is dotted module paths."""

from collections.abc import Iterable

from torch import fx, nn

from offramp.model.capture import Capture, within
from offramp.model.quantiser import rounds
from offramp.model.taps import call_name, called


def ends(captured: Capture, model: nn.Module) -> dict[fx.Node, str]:
    """The module path that names each node which is the last of some module's call.

    Among the modules that end at a node the outermost gives the name, except that a plain `nn.Sequential` yields to
    its last child, so that the blocks of a stage are called `layer1.0 … layer1.8` and not `layer1.0 … layer1`.
    The second call of a module is named `path@1`, the third `path@2`. A call that other calls interrupt has no name.
    What rounds in a quantised model belongs to the module in which it does.
    """
    modules = {name: module for name, module in model.named_modules() if not rounds([name])}
    nodes = [node for node in captured.graph_module.graph.nodes if node.op == "call_function"]
    stacks = [_stack(node) for node in nodes]
    named: dict[fx.Node, str] = {}
    finished: set[str] = set()
    repeated: set[str] = set()
    for node, stack, following in zip(nodes, stacks, [*stacks[1:], ()], strict=True):
        over = [name for name in stack if name not in following and called(name)[0] in modules]
        repeated.update(name for name in over if name in finished)
        finished.update(over)
        if over:
            named[node] = _outermost(over, modules)
    return {node: name for node, name in named.items() if name not in repeated}


def _stack(node: fx.Node) -> tuple[str, ...]:
    """The calls the node belongs to, outermost first, that of the model itself left out."""
    entries: Iterable[tuple[str, tuple[str, object]]] = (node.meta.get("nn_module_stack") or {}).items()
    return tuple(_call(key, within(path)) for key, (path, _) in entries if within(path))


def _call(key: str, path: str) -> str:
    """The exporter marks the second call of a module with `@1` at the end of its key, the third with `@2`, ..."""
    return call_name(path, called(key)[1])


def _outermost(names: list[str], modules: dict[str, nn.Module]) -> str:
    for name in names:
        if type(modules[called(name)[0]]) is not nn.Sequential:
            return name
    return names[-1]
