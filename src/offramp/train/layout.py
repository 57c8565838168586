"""Where each parameter and module of a network with exits belongs, found by looking at one forward."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from offramp.errors import InputError
from offramp.inputs import Inputs, call
from offramp.model.taps import tapped
from offramp.train.exiting import Exiting
from offramp.train.parts import Part, Piece
from offramp.train.phase import Norms


@dataclass(frozen=True, eq=False)
class Layout:
    """The pieces of a network.

    Attributes:
        parameters: by name, where a parameter belongs.
        modules: by name, the pieces that decide a module's mode: of its own parameters; of the moment it was first
            called, where it has none and no children; else of all that is in it.
    """

    parameters: Mapping[str, Piece]
    modules: Mapping[str, frozenset[Piece]]

    def apply(self, part: Part, network: Exiting, norms: Norms = "batch") -> list[nn.Parameter]:
        """Lets `part` learn and freezes all else; returns the parameters that learn.

        Frozen is more than `requires_grad_(False)`: batch-norm statistics and dropout follow the mode. Where norms are
        kept the statistics of those that learn are frozen, too.

        Raises:
            InputError: if nothing learns.
        """
        learning = []
        for name, parameter in network.named_parameters():
            learns = parameter.is_floating_point() and part.holds(self.parameters[name])
            parameter.requires_grad_(learns)
            parameter.grad = None
            learning += [parameter] if learns else []
        for name, module in network.named_modules():
            fixed = norms == "kept" and isinstance(module, nn.modules.batchnorm._NormBase)
            module.training = not fixed and any(part.holds(piece) for piece in self.modules[name])
        if not learning:
            raise InputError(
                f"expected parameters that learn, got none in {part}; choose other parts, or drop the phase"
            )
        return learning

    def first_stage(self, part: Part) -> int | None:
        """The stage of the earliest piece of the backbone that learns; None where all of it is frozen."""
        stages = [piece.stage for piece in self.parameters.values() if piece.kind == "backbone" and part.holds(piece)]
        return min(stages, default=None)


def layout_of(network: Exiting, example: Inputs) -> Layout:
    """The layout, from a forward of the network's model and the gradients of what its exits see.

    A parameter belongs to the first exit whose feature depends on it, so that shared and functional parameters are
    found, too.
    """
    model = network.model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    called: dict[str, int] = {}
    sums, answer = _forward(network, example, called)
    final = _final(model, called)
    stages = _stages(network, sums, answer)
    pieces: dict[str, Piece] = {}
    for name, stage in stages.items():
        ends = name.rpartition(".")[0] == final and stage == network.last
        pieces[f"model.{name}"] = Piece("final" if ends else "backbone", stage)
    for index, head in enumerate(network.heads):
        pieces |= {f"heads.{index}.{name}": Piece("head", index) for name, _ in head.named_parameters()}
    owned = {parameter: pieces[name] for name, parameter in network.named_parameters()}
    return Layout(pieces, {name: _deciding(name, module, owned, called) for name, module in network.named_modules()})


def _forward(network: Exiting, example: Inputs, called: dict[str, int]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The sum of each point's feature and of the answer; notes at which stage each module is first called, in order."""
    passed = 0

    def at(name: str, feature: torch.Tensor) -> torch.Tensor:
        nonlocal passed
        passed += network.points.count(name)
        return feature.float().sum()  # at once: the model may change the feature in place

    def begin(name: str) -> None:
        called.setdefault(name, passed)

    handles = [
        module.register_forward_pre_hook(lambda _module, _args, name=name: begin(name))
        for name, module in network.model.named_modules()
    ]
    try:
        with torch.enable_grad(), tapped(network.model, list(dict.fromkeys(network.points)), keep=at) as sums:
            answer = network.logits_of(call(network.model, example)).float().sum()
    finally:
        for handle in handles:
            handle.remove()
    return dict(sums), answer


def _stages(network: Exiting, sums: Mapping[str, torch.Tensor], answer: torch.Tensor) -> dict[str, int]:
    """The stage of each of the model's parameters."""
    named = [(name, p) for name, p in network.model.named_parameters() if p.requires_grad]
    stages = {name: network.last for name, _ in network.model.named_parameters()}
    for index, point in reversed(list(enumerate(network.points))):
        if not sums[point].requires_grad:
            continue
        reached = torch.autograd.grad(sums[point], [p for _, p in named], retain_graph=True, allow_unused=True)
        stages |= {name: index for (name, _), gradient in zip(named, reached, strict=True) if gradient is not None}
    return stages


def _final(model: nn.Module, called: Mapping[str, int]) -> str:
    """The module with parameters of its own that was first called last."""
    owners = {name.rpartition(".")[0] for name, _ in model.named_parameters()}
    return next((name for name in reversed(list(called)) if name in owners), "")


def _deciding(
    name: str, module: nn.Module, owned: Mapping[nn.Parameter, Piece], called: Mapping[str, int]
) -> frozenset[Piece]:
    own = frozenset(owned[parameter] for parameter in module.parameters(recurse=False))
    within = name.removeprefix("model").removeprefix(".")
    if not own and name.startswith("model") and within in called and _alone(module):
        return frozenset({Piece("backbone", called[within])})
    if name.startswith("heads."):
        return frozenset({Piece("head", int(name.split(".")[1]))})
    return own or frozenset(owned[parameter] for parameter in module.parameters())


def _alone(module: nn.Module) -> bool:
    """Whether a module without parameters has no modules in it, or statistics of its own."""
    return next(module.children(), None) is None or next(module.buffers(recurse=False), None) is not None
