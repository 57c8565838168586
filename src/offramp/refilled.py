"""The code of a small model, which the user gives, with the weights of a bundle."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import nn

from offramp.errors import ForeignBackboneError, InputError
from offramp.model.fingerprint import model_fingerprint
from offramp.network_entries import SmallEntry


def check_given(small: nn.Module | None, entry: SmallEntry | None) -> None:
    """Refuses a small model where the bundle has none, and none where it has one.

    Raises:
        InputError: if so.
    """
    if entry is not None and small is None:
        raise InputError(
            f"expected the small model that answers first, {_called(entry)}, got none; pass small=, a module of that "
            "kind (its weights are in the bundle)"
        )
    if entry is None and small is not None:
        raise InputError("expected no small model, since the bundle was built without one; leave small out")


def refilled(small: nn.Module, entry: SmallEntry, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """A copy of the module with these weights.

    Args:
        small: of the class and sizes of the small model; left as it is.
        entry: what the manifest says of it.
        weights: by its own names.

    Raises:
        ForeignBackboneError: if it is another model than the bundle was built with.
    """
    copy = deepcopy(small)
    try:
        copy.load_state_dict(weights)
    except RuntimeError as error:
        raise ForeignBackboneError(
            f"expected a small model like the {_called(entry)} of the build, got {type(small).__name__}, which its "
            f"weights do not fit: {str(error).splitlines()[-1].strip()}; make the one the bundle was built with"
        ) from error
    found = model_fingerprint(copy)
    if found != entry.fingerprint:
        raise ForeignBackboneError(
            f"expected the small model {_called(entry)} with fingerprint {entry.fingerprint[:12]}, got "
            f"{type(small).__name__} that has {found[:12]} with the weights of the bundle; make the one the bundle was "
            "built with"
        )
    return copy


def _called(entry: SmallEntry) -> str:
    return entry.type if entry.spec is None else f"{entry.type} ({entry.spec})"
