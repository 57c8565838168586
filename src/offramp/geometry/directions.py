"""Random directions in which a loss is drawn, as long as the weights they move (Li et al. 2018)."""

from collections.abc import Collection

import torch

from offramp.geometry.weights import Weights


def filter_normalised(weights: Weights, named: Collection[str], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """A direction drawn from a normal distribution, each of its filters scaled to the length of the same filter.

    d_ij ← d_ij / ‖d_ij‖ · ‖θ_ij‖ (Li et al. 2018, section 4), where a filter is what belongs to one index of the first
    axis. Parameters with one axis (biases, the weights of norms) are not moved, as in the authors' code.

    Args:
        weights: around which the loss is looked at.
        named: the parameters that are moved.
        generator: draws, on the CPU.
    """
    found = {}
    for name in sorted(named):
        value = weights[name]
        if value.ndim < 2 or not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=generator).to(value.device, value.dtype)
        flat, own = drawn.flatten(1), value.flatten(1)
        scale = own.norm(dim=1) / flat.norm(dim=1).clamp_min(torch.finfo(flat.dtype).tiny)
        found[name] = (flat * scale[:, None]).reshape(value.shape)
    return found
