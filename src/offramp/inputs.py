"""A batch as a model takes it: one tensor, several, or named ones."""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Any, get_origin, get_type_hints

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


def whole_of(inputs: Inputs) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """The tensors of a batch, in the order in which the model takes them; one alone is not in a tuple."""
    tensors = leaves(inputs)
    return tensors if len(tensors) > 1 else tensors[0]


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
    return rebuild(inputs, [tensor.index_select(0, index.to(tensor.device)) for tensor in leaves(inputs)])


MASK = "attention_mask"
"""The named input that says which positions of a sequence are real and which are padding, as transformers calls it."""


def mask_of(inputs: Inputs) -> torch.Tensor | None:
    """Which positions of each sequence are no padding, `(B, T)`; None where the inputs do not say."""
    mask = inputs.get(MASK) if isinstance(inputs, dict) else None
    return mask if mask is not None and mask.ndim == 2 else None


def tokens_of(inputs: Inputs) -> int | None:
    """The length of the sequences in a batch; None where no mask says it."""
    mask = mask_of(inputs)
    return None if mask is None else mask.shape[1]


def concat(parts: Sequence[Inputs]) -> Inputs:
    """Batches of one structure joined along the batch axis.

    Raises:
        DataError: if their sizes differ.
    """
    if len({shapes(part) for part in parts}) > 1:
        other = next(part for part in parts if shapes(part) != shapes(parts[0]))
        raise DataError(
            f"expected batches of one size to join, got {described(parts[0])} and {described(other)}; texts are padded "
            "alike where they are rows of one table"
        )
    return rebuild(parts[0], [torch.cat(column) for column in zip(*map(leaves, parts), strict=True)])


def device_of(model: nn.Module) -> torch.device:
    """Where a model is: the place of its first parameter or buffer."""
    found = next(itertools.chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if found is None else found.device


def on(inputs: Inputs, device: torch.device) -> Inputs:
    """The batch on a device; itself if it is there."""
    if all(tensor.device == device for tensor in leaves(inputs)):
        return inputs
    return rebuild(inputs, [tensor.to(device, non_blocking=True) for tensor in leaves(inputs)])


def call(model: nn.Module, inputs: Inputs) -> Any:
    """`model` on a batch, moved to where the model is: a dict becomes keyword arguments, a tuple positional ones.

    A model whose `forward` says by its first annotation that it takes a dataclass or a named tuple gets one; one that
    has no arguments of these names, or not so many, gets the dict or the tuple as a whole.
    """
    inputs = on(inputs, device_of(model))
    if isinstance(inputs, torch.Tensor):
        return model(inputs)
    takes = _takes(type(model).forward)
    if isinstance(inputs, dict):
        return model(takes.gather(**inputs)) if takes.whole_dict(inputs) else model(**inputs)
    return model(takes.gather(*inputs)) if takes.whole_tuple(inputs) else model(*inputs)


@dataclass(frozen=True)
class _Takes:
    """What a forward takes: its arguments, how many by position, whether any others, and the type of the first one."""

    names: frozenset[str]
    places: int
    any_name: bool
    any_number: bool
    first: Any

    @property
    def record(self) -> bool:
        return isinstance(self.first, type) and (is_dataclass(self.first) or hasattr(self.first, "_fields"))

    def whole_dict(self, inputs: dict[str, torch.Tensor]) -> bool:
        strange = bool(self.names) and not self.any_name and self.names.isdisjoint(inputs)
        return strange and (self.record or self.first in (None, dict) or get_origin(self.first) in (dict, Mapping))

    def whole_tuple(self, inputs: tuple[torch.Tensor, ...]) -> bool:
        return self.record or (0 < self.places < len(inputs) and not self.any_number)

    def gather(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
        return self.first(*args, **kwargs) if self.record else kwargs or args


@lru_cache(maxsize=256)
def _takes(forward: Callable[..., Any]) -> _Takes:
    try:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
    except (TypeError, ValueError):  # not written in Python
        return _Takes(frozenset(), 0, True, True, None)
    kinds = {parameter.kind for parameter in parameters}
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    try:
        first = get_type_hints(forward).get(by_place[0].name) if by_place else None
    except Exception:  # an annotation of names that are not there
        first = None
    any_name, any_number = inspect.Parameter.VAR_KEYWORD in kinds, inspect.Parameter.VAR_POSITIONAL in kinds
    return _Takes(frozenset(names), len(by_place), any_name, any_number, first)


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

    Only sequences beside an attention mask may be of another length.

    Raises:
        DataError: saying what came and what was expected.
    """
    if kind(inputs) != kind(example) or _fixed(inputs) != _fixed(example):
        raise DataError(
            f"expected inputs {described(example)}, with which the model was captured, got {described(inputs)} in "
            f"{where}; resize or convert them, or build a bundle for them"
        )


def arranged(inputs: Inputs, example: Inputs) -> Inputs:
    """The inputs with their names in the order of the example's.

    Raises:
        DataError: if names, types or numbers of axes differ, or there is nothing in them.
    """
    if isinstance(inputs, dict) and isinstance(example, dict) and set(inputs) == set(example):
        inputs = {name: inputs[name] for name in example}
    if kind(inputs) != kind(example) or not all(tensor.numel() for tensor in leaves(inputs)):
        raise DataError(
            f"expected inputs like {described(example)}, with which the model was captured, got {described(inputs)}; "
            "convert them, or build a bundle for them"
        )
    return inputs


def kind(inputs: Inputs) -> tuple[object, ...]:
    """The names of a batch and the types and numbers of axes of its tensors: all that is the same at any size."""
    names = tuple(inputs) if isinstance(inputs, dict) else ()
    return names, *((tensor.ndim, tensor.dtype) for tensor in leaves(inputs))


def _fixed(inputs: Inputs) -> list[torch.Size | None]:
    """The shapes without those of sequences that a mask of the same length says more about."""
    mask = mask_of(inputs)
    return [None if mask is not None and shape == mask.shape[1:] else shape for shape in shapes(inputs)]


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
