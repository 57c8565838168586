"""Names that say how a head is built: `grid4-fc256-fc128-drop20`, `whole-conv32k3s2-fc256`, `extremes4-mix`.

What it looks at (a reduction by its name); the mixture of SDN's pooling, or convolutions with channels, kernel and
stride; hidden linear layers by width; dropout behind them in %.
"""

import re
from collections.abc import Callable

from offramp.errors import InputError
from offramp.heads.convolutions import Convolutions
from offramp.heads.head import HeadType
from offramp.heads.mixed import Mixed
from offramp.heads.reduction import Attend, Extremes, Global, Grid, Reduction, Whole
from offramp.heads.stem import Stem

_NAME = re.compile(
    r"(?P<looks>global|whole|(?:grid|attend|extremes|whole)[1-9]\d*)"
    r"(?P<mix>-mix)?(?P<convs>(?:-conv[1-9]\d*k[1-9]\d*s[1-9]\d*)*)"
    r"(?P<linears>(?:-fc[1-9]\d*)*)(?:-drop(?P<drop>[1-9]\d?))?"
)
_REDUCTIONS: dict[str, Callable[[int], Reduction]] = {
    "global": lambda _: Global(),
    "grid": Grid,
    "attend": Attend,
    "extremes": Extremes,
    "whole": Whole,
}


def parsed(name: str) -> HeadType | None:
    """The head type that a name spells; None where it spells none.

    >>> parsed("global-fc64-drop10") == HeadType(Global(), hidden=(64,), dropout=0.1)
    True
    >>> parsed("grid4-conv32k3s2") is parsed("huge") is None  # convolutions need the whole feature
    True
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    looks, mix, convs = match["looks"], match["mix"], match["convs"]
    kind, size = looks.rstrip("0123456789"), int("0" + looks.lstrip("abcdefghijklmnopqrstuvwxyz"))
    if (mix is not None) != (kind == "extremes") or (convs and looks != "whole"):
        return None
    stem: Stem | None = Mixed() if mix else None
    if convs:
        channels, kernels, strides = (list(map(int, re.findall(rf"{key}(\d+)", convs))) for key in ("conv", "k", "s"))
        stem = Convolutions(tuple(zip(channels, kernels, strides, strict=True)))
    hidden = tuple(int(width) for width in re.findall(r"\d+", match["linears"]))
    return HeadType(_REDUCTIONS[kind](size), hidden, int(match["drop"] or 0) / 100, stem)


def spelled(head: HeadType) -> str:
    """The name that spells a head type.

    Raises:
        InputError: if none does.

    >>> spelled(HeadType(Whole(), hidden=(256,), stem=Convolutions(((32, 3, 2),))))
    'whole-conv32k3s2-fc256'
    """
    stem = "-mix" if isinstance(head.stem, Mixed) else ""
    if isinstance(head.stem, Convolutions):
        stem = "".join(f"-conv{channels}k{kernel}s{stride}" for channels, kernel, stride in head.stem.layers)
    drop = f"-drop{round(100 * head.dropout)}" if head.dropout else ""
    name = head.reduction.name + stem + "".join(f"-fc{width}" for width in head.hidden) + drop
    if parsed(name) != head:
        raise InputError(f"expected a head that a name can spell, got {head!r}; add it to heads.NAMES")
    return name
