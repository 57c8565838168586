"""One alternative to the plain model, and what each way to run it does on samples that chose nothing."""

from dataclasses import dataclass

from torch import nn

from offramp.confidence import Said
from offramp.decide.replay import replay
from offramp.live import Live
from offramp.model.quantiser import HOOKS
from offramp.types import Bound, Configuration, ExitTable

PLAIN, EXITS, STATIC, CASCADE, INT8, INT8_EXITS = "plain", "exits", "rival", "cascade", "int8", "int8 + exits"
"""Kinds of alternatives."""

CHOSEN = "chosen"
"""The cheapest way that disagrees no more than asked on the part that chooses; nothing proves it."""


@dataclass(frozen=True)
class Way:
    """A way to run an alternative.

    Attributes:
        name: an operating point, `chosen`, or nothing where there is only one.
        configuration: which exits are on, and from which score on a sample leaves.
        bound: its certificate.
    """

    name: str
    configuration: Configuration
    bound: Bound | None = None


@dataclass(frozen=True)
class Figures:
    """What a way does on the samples of the report.

    Attributes:
        cost: mean MACs as a share of the plain model's.
        agreement: share of samples answered like the plain model.
        accuracy: share answered like the label; None without labels.
        drop: points of accuracy lost against the plain model; None without labels.
        noise: standard error of the drop, or without labels of the agreement, in points.
    """

    cost: float
    agreement: float
    accuracy: float | None
    drop: float | None
    noise: float

    @property
    def quality(self) -> float:
        """What alternatives are compared at: accuracy, or without labels agreement."""
        return self.agreement if self.accuracy is None else self.accuracy


@dataclass(frozen=True, eq=False)
class Contender:
    """An alternative.

    Attributes:
        name: how it is called.
        kind: one of the kinds above.
        live: what runs it.
        report: what its exits say on the report part, held against the plain model.
        choose: the same on the part that chooses: scores and disagreement; None where there is none.
        path: the family of configurations that was fixed without the report part, from dear to cheap.
        ways: those that are told of.
    """

    name: str
    kind: str
    live: Live
    report: Said
    choose: ExitTable | None
    path: tuple[Configuration, ...]
    ways: tuple[Way, ...]

    @property
    def alone(self) -> bool:
        """Whether it is one model run whole."""
        return not self.live.multi_exit.exits

    @property
    def size(self) -> int:
        """Bytes of weights and buffers, of the heads, too."""
        live = self.live.multi_exit
        return size_of(live.backbone.model) + size_of(live.heads)

    @property
    def plain_quality(self) -> float:
        """Accuracy of the plain model on the report part, or without labels its agreement with itself."""
        plain = self.report.plain_error
        return 1.0 if plain is None else 1.0 - float(plain.mean())

    def figures(self, configuration: Configuration, plain_macs: float) -> Figures:
        """What a configuration does on the report part."""
        said, taken = self.report, replay(self.report.table, configuration)
        agreement = 1.0 - float(taken.loss.mean())
        cost = float(taken.cost.mean()) / plain_macs
        error, plain = said.error_at(taken.exit_index), said.plain_error
        if error is None or plain is None:
            noise = 100.0 * float(taken.loss.std()) / said.table.samples**0.5
            return Figures(cost, agreement, None, None, noise)
        lost = error - plain
        noise = 100.0 * float(lost.std()) / said.table.samples**0.5
        return Figures(cost, agreement, 1.0 - float(error.mean()), 100.0 * float(lost.mean()), noise)

    def family(self, plain_macs: float) -> list[Figures]:
        """What each member of the family does on the report part."""
        each = dict.fromkeys((*self.path, *(way.configuration for way in self.ways)))
        return [self.figures(configuration, plain_macs) for configuration in each]


def size_of(module: nn.Module) -> int:
    """Bytes of weights and buffers; weights that are rounded to eight bits before their layer count one byte each.

    >>> size_of(nn.Linear(3, 2))
    32
    """
    state = module.state_dict()
    rounded = {layer for name in state if (layer := _layer_of(name)) is not None}
    return sum(
        tensor.numel() * (1 if name.removesuffix(".weight") in rounded else tensor.element_size())
        for name, tensor in state.items()
    )


def _layer_of(name: str) -> str | None:
    """The layer whose weight a quantiser rounds, by the name of one of its tensors; None for any other tensor.

    >>> _layer_of("__nncf_hooks.pre_hooks.deep/0/conv2d/0__1.0.scale"), _layer_of("deep.0.weight")
    ('deep.0', None)
    """
    parts = name.split(".")
    if HOOKS not in parts or "pre_hooks" not in parts:
        return None
    return (
        parts[parts.index("pre_hooks") + 1].partition("__")[0].rpartition("/")[0].rpartition("/")[0].replace("/", ".")
    )
