"""Where half precision pays."""

import torch


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there: on processors with instructions for it, and on GPUs."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported()
