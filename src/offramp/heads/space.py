"""The heads that a search tries, as data: named ones, and those that reductions, convolutions and widths make up."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeVar, runtime_checkable

from offramp.heads import NAMES, head_type
from offramp.heads.convolutions import Convolutions
from offramp.heads.head import HeadType
from offramp.heads.reduction import Attend, Global, Grid, Reduction, Whole, is_turned
from offramp.heads.spelled import spelled
from offramp.heads.stem import channels_first

Choice = TypeVar("Choice", str, int)


@runtime_checkable
class Ask(Protocol):
    """Answers with one of the choices; Optuna's `suggest_categorical` is one."""

    def __call__(self, name: str, choices: tuple[Choice, ...], /) -> Choice:
        """One of `choices` for the parameter `name`."""
        ...


@dataclass(frozen=True)
class HeadSpace:
    """Which heads a search may try at a point.

    SelfXit's space (its appendix A and released code) has up to two convolutions, up to two hidden linear layers, and
    looks at the whole feature. Here pooled features and grids are in it, too, and the heads that have names: SDN's,
    DyCE's five, GATI's, BranchyNet's.

    Attributes:
        named: heads by name; those that hear earlier exits cannot be judged alone.
        grids: sides of the grids on which maps are averaged.
        convolutions: on the whole feature, at most.
        channels: of each convolution.
        kernels: likewise.
        strides: likewise.
        linears: hidden linear layers, at most.
        widths: of each.
        drops: dropout behind them, in %.
        whole: numbers of the largest feature that a head may look at whole; they are all cached. Tokens are never
            looked at whole, since that ties a head to one length.
        share: MACs of a head as a share of the backbone's, at most.
    """

    named: tuple[str, ...] = tuple(name for name, kind in NAMES.items() if not kind.hears)
    grids: tuple[int, ...] = (2, 4, 8)
    convolutions: int = 2
    channels: tuple[int, ...] = (32, 64)
    kernels: tuple[int, ...] = (1, 3, 5)
    strides: tuple[int, ...] = (1, 2, 3)
    linears: int = 2
    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    drops: tuple[int, ...] = (0, 10, 20)
    whole: int = 2**16
    share: float = 0.02

    def draw(self, ask: Ask, shape: tuple[int, ...]) -> str:
        """The name of a head for features of `shape` (without batch axis), made of the answers of `ask`.

        Parameters are asked for only where they matter.
        """
        family = ask("family", self.families(shape))
        if family == "named":
            return ask("named", self.names(shape))
        stem: Convolutions | None = None
        if family == "whole" and (count := ask("convolutions", tuple(range(self.convolutions + 1)))):
            asked = (("channels", self.channels), ("kernel", self.kernels), ("stride", self.strides))
            layers = [[ask(f"{key}{layer}", among) for key, among in asked] for layer in range(1, count + 1)]
            stem = Convolutions(tuple((channels, kernel, stride) for channels, kernel, stride in layers))
        count = ask("linears", tuple(range(self.linears + 1)))
        hidden = tuple(ask(f"width{layer}", self.widths) for layer in range(1, count + 1))
        drop = ask("drop", self.drops) if hidden else 0
        looks = _looks(family, lambda: ask("grid", self.sides(shape)))
        return spelled(HeadType(looks, hidden, drop / 100, stem))

    def families(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """The kinds of heads that there are for features of `shape`."""
        every = {
            "named": bool(self.names(shape)),
            "global": True,
            "grid": bool(self.sides(shape)),
            "attend": len(shape) == 2,
            "whole": len(shape) == 3 and self._may_look_whole(shape),
        }
        return tuple(family for family, there in every.items() if there)

    def names(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """The named heads for features of `shape`, without those that look at the whole of a large one, or of tokens,
        and those that attend to tokens where there are none.
        """
        return tuple(name for name in self.named if self._suits(head_type(name).reduction, shape))

    def sides(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The grids that are smaller than a map of `shape`."""
        if len(shape) != 3:
            return ()
        return tuple(side for side in self.grids if side < max(channels_first(shape, is_turned(shape))[1:]))

    def looks(self, shape: tuple[int, ...]) -> list[str]:
        """For each thing that a head of this space looks at, the name of one head that does."""
        families = self.families(shape)
        spelt = [str(family) for family in ("global", "whole") if family in families]
        spelt += [f"grid{side}" for side in self.sides(shape)]
        spelt += ["attend4"] if "attend" in families else []
        heads = {head_type(name).reduction: name for name in (*self.names(shape), *spelt)}
        return list(heads.values())

    def _suits(self, looks: Reduction, shape: tuple[int, ...]) -> bool:
        if isinstance(looks, Whole) and not looks.most:
            return self._may_look_whole(shape)
        return len(shape) == 2 or not isinstance(looks, Attend)

    def _may_look_whole(self, shape: tuple[int, ...]) -> bool:
        return len(shape) != 2 and prod(shape) <= self.whole


def _looks(family: str, side: Callable[[], int]) -> Reduction:
    kinds: dict[str, Callable[[], Reduction]] = {
        "global": Global,
        "whole": Whole,
        "attend": lambda: Attend(4),
        "grid": lambda: Grid(side()),
    }
    return kinds[family]()
