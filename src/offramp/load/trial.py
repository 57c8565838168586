"""Whether a model takes the data at all, found out before any work is done."""

import torch
from torch import nn

from offramp.errors import DataError
from offramp.inputs import Inputs, batch_size, call, described, select
from offramp.model.modes import frozen


def tried(model: nn.Module, inputs: Inputs, where: str) -> Inputs:
    """The inputs, after the model has run on them once.

    Raises:
        DataError: if the model refuses them; says what came, and the model's own reason.
    """
    copy = select(inputs, torch.arange(batch_size(inputs)))  # the model may work on its inputs in place
    try:
        with frozen(model):
            call(model, copy)
    except Exception as error:  # whatever the model's own code raises
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise DataError(
            f"expected inputs that {type(model).__name__} takes, got {described(inputs)} from {where}, on which it "
            f"raises {type(error).__name__}: {reason}; give inputs of the model's own shape and type"
        ) from error
    return inputs
