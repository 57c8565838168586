"""Whether a model takes the data at all, found out before any work is done."""

import torch
from torch import nn

from offramp.errors import DataError
from offramp.inputs import Inputs, batch_size, call, described, kind, select, shapes
from offramp.model.modes import frozen


def tried(model: nn.Module, inputs: Inputs, where: str) -> Inputs:
    """The inputs, after the model has run on them once.

    Raises:
        DataError: if the model refuses them; says what came, and the model's own reason.
    """
    reason = _refusal(model, inputs)
    if reason is not None:
        raise DataError(
            f"expected inputs that {type(model).__name__} takes, got {described(inputs)} from {where}, on which it "
            f"raises {reason}; give inputs of the model's own shape and type"
        )
    return inputs


def check_taken(model: nn.Module, inputs: Inputs, example: Inputs, where: str) -> None:
    """Refuses inputs that are not of the kind of `example`, or of sizes that the model refuses.

    Raises:
        DataError: saying what came and what was expected.
    """
    same_kind = kind(inputs) == kind(example)
    if same_kind and shapes(inputs) == shapes(example):
        return
    reason = _refusal(model, inputs) if same_kind else None
    if not same_kind or reason is not None:
        raise DataError(
            f"expected inputs {described(example)}, with which the model was captured, got {described(inputs)} in "
            f"{where}{'' if reason is None else f', on which it raises {reason}'}; resize or convert them, or build a "
            "bundle for them"
        )


def _refusal(model: nn.Module, inputs: Inputs) -> str | None:
    """What the model raises on the inputs; None if it takes them."""
    copy = select(inputs, torch.arange(batch_size(inputs)))  # the model may work on its inputs in place
    try:
        with frozen(model):
            call(model, copy)
    except Exception as error:  # whatever the model's own code raises
        return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no reason given')}"
    return None
