"""A batch as a model takes it: one tensor, several, or named ones."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Any, get_type_hints

import torch
from torch import nn

from offramp.errors import DataError

Inputs = torch.Tensor | tuple[torch.Tensor, ...] | dict[str, torch.Tensor]
"""One tensor `(B, ...)`, a tuple of them (positional arguments), or a dict of them (keyword arguments)."""


def leaves(inputs: Inputs) -> tuple[torch.Tensor, ...]:
    """The tensors of a batch, in the order in which the model takes them."""
    if isinstance(inputs, torch.Tensor):
        return (inputs,)
    return tuple(inputs.values()) if isinstance(inputs, dict) else inputs


def rebuild(like: Inputs, tensors: Sequence[torch.Tensor]) -> Inputs:
    """A batch of the structure of `like` from its tensors, in the order of `leaves`."""
    if isinstance(like, torch.Tensor):
        return tensors[0]
    return dict(zip(like, tensors, strict=True)) if isinstance(like, dict) else tuple(tensors)


def batch_size(inputs: Inputs) -> int:
    """Number of samples in a batch.

    Raises:
        DataError: if the batch has no tensor, is empty, or its tensors disagree about the size.
    """
    sizes = {tensor.shape[0] if tensor.ndim else 0 for tensor in leaves(inputs)}
    if len(sizes) != 1 or 0 in sizes:
        raise DataError(f"expected tensors with one common batch size of at least 1, got sizes {sorted(sizes)}")
    return sizes.pop()


Shapes = tuple[torch.Size, ...]
"""The shape of each tensor of a batch, without the batch axis."""


def shapes(inputs: Inputs) -> Shapes:
    """The shapes of a batch."""
    return tuple(tensor.shape[1:] for tensor in leaves(inputs))


def select(inputs: Inputs, index: torch.Tensor) -> Inputs:
    """The samples at `index` (int64), in that order."""
    return rebuild(inputs, [tensor.index_select(0, index) for tensor in leaves(inputs)])


MASK = "attention_mask"
"""The named input that says which positions of a sequence are real and which are padding, as transformers calls it."""


def mask_of(inputs: Inputs) -> torch.Tensor | None:
    """Which positions of each sequence are no padding, `(B, T)`; None where the inputs do not say."""
    mask = inputs.get(MASK) if isinstance(inputs, dict) else None
    return mask if mask is not None and mask.ndim == 2 else None


def concat(parts: Sequence[Inputs]) -> Inputs:
    """Batches of one structure joined along the batch axis.

    Sequences `(B, T)` with an attention mask may differ in length; the shorter are padded with zeros, which the mask
    says to be padding.
    """
    if all(mask_of(part) is not None for part in parts):
        longest = max(tensor.shape[1] for part in parts for tensor in leaves(part))
        parts = [rebuild(part, [_padded(tensor, longest) for tensor in leaves(part)]) for part in parts]
    return rebuild(parts[0], [torch.cat(column) for column in zip(*map(leaves, parts), strict=True)])


def _padded(tensor: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(tensor, (0, length - tensor.shape[1])) if tensor.ndim == 2 else tensor


def call(model: nn.Module, inputs: Inputs) -> Any:
    """`model` on a batch: a dict becomes keyword arguments, a tuple positional ones.

    A model whose `forward` has no arguments of these names, or not so many, gets the whole batch as its first one: as a
    dict or a tuple, or as the dataclass or named tuple that its annotation says.
    """
    if isinstance(inputs, torch.Tensor):
        return model(inputs)
    takes = _takes(type(model).forward)
    if isinstance(inputs, dict):
        return model(takes.gather(**inputs)) if takes.no_names(inputs) else model(**inputs)
    return model(takes.gather(*inputs)) if takes.fewer_than(len(inputs)) else model(*inputs)


@dataclass(frozen=True)
class _Takes:
    """What a forward takes: its arguments, whether any others, and what its first one is made by."""

    names: tuple[str, ...]
    any_name: bool
    any_number: bool
    kind: type | None

    def no_names(self, inputs: dict[str, torch.Tensor]) -> bool:
        return bool(self.names) and not self.any_name and set(self.names).isdisjoint(inputs)

    def fewer_than(self, count: int) -> bool:
        return bool(self.names) and not self.any_number and len(self.names) < count

    def gather(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
        if self.kind is not None:
            return self.kind(*args, **kwargs)
        return kwargs or args


@lru_cache(maxsize=256)
def _takes(forward: Callable[..., Any]) -> _Takes:
    try:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
    except (TypeError, ValueError):  # not written in Python
        return _Takes((), True, True, None)
    kinds = {parameter.kind for parameter in parameters}
    names = tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
    try:
        hint = get_type_hints(forward).get(names[0]) if names else None
    except Exception:  # an annotation of names that are not there
        hint = None
    made = isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields"))
    any_name, any_number = inspect.Parameter.VAR_KEYWORD in kinds, inspect.Parameter.VAR_POSITIONAL in kinds
    return _Takes(names, any_name, any_number, hint if made else None)


def described(inputs: Inputs) -> str:
    """The shapes and types of a batch in words, without its batch axis.

    >>> described(torch.zeros(8, 3, 32, 32))
    '(3, 32, 32) float32'
    """
    names = [f"{name} " for name in inputs] if isinstance(inputs, dict) else [""] * len(leaves(inputs))
    kinds = (f"{tuple(tensor.shape[1:])} {str(tensor.dtype).removeprefix('torch.')}" for tensor in leaves(inputs))
    return ", ".join(name + kind for name, kind in zip(names, kinds, strict=True))


def check_like(inputs: Inputs, example: Inputs, where: str) -> None:
    """Refuses inputs with other names, shapes or types than those the model was captured with.

    Only sequences `(B, T)` with an attention mask may be of another length.

    Raises:
        DataError: saying what came and what was expected.
    """
    if kind(inputs) != kind(example) or _fixed(inputs) != _fixed(example):
        raise DataError(
            f"expected inputs {described(example)}, with which the model was captured, got {described(inputs)} in "
            f"{where}; resize or convert them, or build a bundle for them"
        )


def kind(inputs: Inputs) -> tuple[object, ...]:
    """The names of a batch and the types and numbers of axes of its tensors: all that is the same at any size."""
    names = tuple(inputs) if isinstance(inputs, dict) else ()
    return names, *((tensor.ndim, tensor.dtype) for tensor in leaves(inputs))


def _fixed(inputs: Inputs) -> list[torch.Size]:
    return [shape for shape in shapes(inputs) if len(shape) != 1 or mask_of(inputs) is None]


def check_finite(inputs: Inputs, where: str, first: int = 0) -> None:
    """Refuses NaN and infinity.

    Args:
        inputs: a batch.
        where: its source, for the message.
        first: position of the batch's first sample in that source.

    Raises:
        DataError: naming the first bad sample.
    """
    for tensor in leaves(inputs):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor).reshape(len(tensor), -1).all(dim=1)).nonzero()[0])
            raise DataError(
                f"expected finite numbers in {where}, got NaN or infinity in sample {first + bad}; clean or drop it"
            )
