"""Weights from a file, without running any code that the file may hold."""

import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from offramp.errors import InputError
from offramp.load.quantised import rebuilt
from offramp.model.quantiser import rounds

_NESTED = ("state_dict", "model_state_dict", "model")
_SHOWN = 3


def load_state(path: str | PathLike[str]) -> dict[str, torch.Tensor]:
    """The tensors of a weights file, by name, on the CPU.

    Reads safetensors, and torch files that hold nothing but tensors and plain containers. A state dict nested
    under `state_dict`, `model_state_dict` or `model` is found; DataParallel's prefix `module.` is taken off.

    Raises:
        InputError: if the file is missing, cut short, or would have to run code to be read.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"expected a weights file at {str(path)!r}, got no such file; check the path")
    with file.open("rb") as stream:
        head = stream.read(9)
    if _is_safetensors(head):
        return _read_safetensors(file)
    if _is_pickle(head):
        if file.suffix == ".safetensors":
            raise InputError(
                f"expected safetensors in {str(file)!r}, got a torch pickle; rename it to .pt or convert it"
            )
        return _flat(_read_pickle(file), file)
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    return _flat(_read_pickle(file), file)


def load_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Fills `model` with the weights at `path`, every one of them.

    Raises:
        InputError: if the file cannot be read, or its names or shapes are not those of the model; says which.
    """
    fill(model, load_state(path), str(path))


def save_weights(model: nn.Module, path: str | PathLike[str]) -> None:
    """Writes the weights of `model` to a safetensors file, from which `load_weights` reads them.

    Raises:
        InputError: if the file cannot be written.
    """
    file = Path(path).expanduser()
    draft = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # copies, since tensors that share memory are refused
        save_file({name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}, draft)
        draft.replace(file)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            draft.unlink()
        raise InputError(f"cannot write {file}: {error}; free space or choose another place") from error


def fill(model: nn.Module, state: Mapping[str, torch.Tensor], origin: str) -> None:
    """Fills `model` with `state`, after quantising it as the state was; `origin` names it in errors."""
    if rounds(state) and not rounds(model.state_dict()):
        rebuilt(model, state)
    own = model.state_dict()
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and isinstance(tensor, torch.Tensor) and state[name].shape != tensor.shape
    ]
    if shapes:
        raise InputError(
            f"expected weights of {type(model).__name__}'s shapes, {origin!r} has {_some(shapes)}; "
            "build the model with the sizes the weights were trained with"
        )
    try:
        result = model.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"expected weights of {type(model).__name__}, {origin!r} does not fit: {error}") from error
    if result.missing_keys or result.unexpected_keys:
        raise InputError(
            f"expected the weights of {type(model).__name__}; {origin!r} lacks {_some(result.missing_keys)} "
            f"and has unknown {_some(result.unexpected_keys)}; choose the model that these weights belong to"
        )


def _is_safetensors(head: bytes) -> bool:
    """Whether a JSON header follows its length in eight bytes, which may begin like a pickle."""
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000  # the format's own limit


def _is_pickle(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"\x80"))


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = load_file(file)
        return state
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"expected safetensors in {str(file)!r}, got a damaged file ({error}); copy it again"
        ) from error


def _read_pickle(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remark on the pickle protocol; what matters is raised
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"expected a torch file of nothing but tensors, {str(file)!r} holds code or is no torch file "
            "and was not run; save model.state_dict() with torch.save or safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"expected a torch weights file in {str(file)!r}, got a damaged one ({reason}); copy it again"
        ) from error


def _flat(loaded: Any, file: Path) -> dict[str, torch.Tensor]:
    for key in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            return _flat(loaded[key], file)
    if not isinstance(loaded, Mapping) or not loaded:
        raise InputError(
            f"expected a state dict in {str(file)!r}, got {type(loaded).__name__}; save model.state_dict() instead"
        )
    alien = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if alien:
        raise InputError(
            f"expected tensors only in {str(file)!r}, got {type(loaded[alien[0]]).__name__} under "
            f"{alien[0]!r}; save model.state_dict() instead"
        )
    return _without_prefix(loaded)


def _without_prefix(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state without `module.`; torch's version marks (`_metadata`) stay, since modules read them."""
    prefix = "module." if all(name.startswith("module.") for name in state) else ""
    result = OrderedDict((name.removeprefix(prefix), tensor) for name, tensor in state.items())
    metadata = getattr(state, "_metadata", None)
    if isinstance(metadata, Mapping):
        cleaned = {name.removeprefix("module").removeprefix("."): mark for name, mark in metadata.items()}
        result._metadata = cleaned if prefix else metadata  # type: ignore[attr-defined]
    return result


def _some(names: Iterable[str]) -> str:
    names = list(names)
    if not names:
        return "nothing"
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
