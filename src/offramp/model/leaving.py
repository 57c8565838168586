"""Leaving a model by hooks alone: what a module returns is replaced by the rows of those who stay."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from offramp.heads.reduction import At
from offramp.model.taps import first_tensor, hooked

Stop = Callable[[int, At], torch.Tensor | None]
"""Called with the number of a stop and the feature there; returns the rows (int64) that stay, or None for all."""


class NobodyLeft(BaseException):
    """Ends a forward in which every sample has been answered; never reaches the user, nor his `except Exception`."""


@contextmanager
def leaving(model: nn.Module, names: Sequence[str], stop: Stop) -> Iterator[None]:
    """Within the block each forward of `model` calls `stop` at the modules in `names` and goes on with who stays.

    All tensors that such a module returns with the batch as first axis are shrunk; one that has as many rows for
    another reason cannot be told from them. What the model keeps elsewhere (a mask, a batch size it read before) is
    not: such a point is illegal, which `by_hooks` finds out by trying.

    Raises:
        NobodyLeft: out of the forward, where nobody stays.
    """

    def at(name: str, output: Any) -> Any:
        feature = first_tensor(output)
        staying = stop(number[name], feature)
        if staying is None:
            return None
        if len(staying) == 0:
            raise NobodyLeft
        return _rows(output, staying, len(feature))

    number = {name: index for index, name in enumerate(names)}
    with hooked(model, names, at):
        yield


def _rows(output: Any, staying: torch.Tensor, batch: int) -> Any:
    def rows(leaf: Any) -> Any:
        whole = isinstance(leaf, torch.Tensor) and leaf.ndim > 0 and leaf.shape[0] == batch
        return leaf.index_select(0, staying) if whole else leaf

    return pytree.tree_map(rows, output)
