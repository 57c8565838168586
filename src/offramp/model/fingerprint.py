"""Fingerprints that tell one backbone from another."""

import hashlib
from collections.abc import Mapping

import torch
from torch import nn


def model_fingerprint(model: nn.Module) -> str:
    """SHA-256 over the class of the model and the names, shapes, types and values of its parameters and buffers."""
    return state_fingerprint(type(model).__name__, model.state_dict())


def state_fingerprint(kind: str, state: Mapping[str, torch.Tensor]) -> str:
    """The same of a model of which the name of its class and the state dict are known."""
    digest = hashlib.sha256(kind.encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()
