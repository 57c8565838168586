"""Compaction in PyTorch: a state without those who left."""

from collections.abc import Hashable

import torch

from offramp.run.buffers import Buffers

State = tuple[torch.Tensor, ...]


def compacted(state: State, rows: torch.Tensor, buffers: Buffers, place: Hashable) -> State:
    """These rows of a state, in the memory that the place had before; on an accelerator in new memory."""
    return tuple(_compacted(tensor, rows, buffers, (place, index)) for index, tensor in enumerate(state))


def _compacted(tensor: torch.Tensor, rows: torch.Tensor, buffers: Buffers, name: Hashable) -> torch.Tensor:
    if tensor.device.type != "cpu" or tensor.dtype is torch.bfloat16 or tensor.requires_grad:
        return tensor.index_select(0, rows)  # NumPy, which holds the memory, has no bfloat16
    kind = str(tensor.dtype).removeprefix("torch.")
    into = torch.from_numpy(buffers.array(name, (len(rows), *tensor.shape[1:]), kind))
    return torch.index_select(tensor, 0, rows, out=into)
