"""Whether a model was left as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def state_of(model: nn.Module) -> dict[str, Any]:
    """All that a user could notice about a model: tensors, modes, gradient flags, hooks, and who its modules are."""
    return {
        "tensors": {name: tensor.detach().clone() for name, tensor in model.state_dict(keep_vars=True).items()},
        "memory": {name: tensor.data_ptr() for name, tensor in model.state_dict(keep_vars=True).items()},
        "gradients": {name: (p.requires_grad, p.grad is None) for name, p in model.named_parameters()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "modules": {name: id(module) for name, module in model.named_modules()},
        "hooks": {name: _hooks(module) for name, module in model.named_modules()},
        "attributes": {name: _attributes(module) for name, module in model.named_modules()},
    }


def _hooks(module: nn.Module) -> dict[str, list[int]]:
    return {
        name: list(value) for name, value in vars(module).items() if name.endswith(("_hooks", "_hooks_with_kwargs"))
    }


def _attributes(module: nn.Module) -> dict[str, Any]:
    """What a module holds besides tensors and hooks."""
    own = {name: value for name, value in vars(module).items() if not name.endswith(("_hooks", "_hooks_with_kwargs"))}
    return {name: _described(value) for name, value in own.items()}


def _described(value: Any) -> Any:
    """Plain values as they are, containers by what is in them, anything else by its type."""
    if isinstance(value, dict):
        return {str(key): type(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [type(one) for one in value]
    return value if isinstance(value, bool | int | float | str | None) else type(value)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Raises AssertionError if anything about the model, or torch's random state, is not as before at the end."""
    before, random = state_of(model), torch.get_rng_state()
    yield
    after = state_of(model)
    torch.testing.assert_close(after.pop("tensors"), before.pop("tensors"), rtol=0, atol=0)
    assert after == before
    torch.testing.assert_close(torch.get_rng_state(), random, rtol=0, atol=0)
