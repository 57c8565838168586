"""What layers say about samples, as rows of numbers."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from offramp.errors import DataError
from offramp.geometry.sight import Sight
from offramp.inputs import device_of, mask_of, on
from offramp.model.taps import tapped
from offramp.types import BACKBONE


def features(
    sight: Sight, layers: Sequence[str], entries: int, seed: int
) -> dict[str, Float[np.ndarray, "samples width"]]:
    """The features at the layers, and the output, with the weights that the network has.

    A feature is flattened; one with more numbers than `entries` is looked at in so many of them, drawn once for each
    size from the seed, so that trainings of one architecture are seen alike. Of sequences of differing length the mean
    over the tokens that are no padding is taken.

    Args:
        sight: the network with its weights, and samples.
        layers: names of modules, as exit points are named.
        entries: the most numbers of a feature.
        seed: of the choice.

    Raises:
        DataError: if a feature has another size in each batch.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*layers, BACKBONE)}
    model = sight.network.model
    for inputs, _ in sight.batches:
        mask = mask_of(inputs)

        def keep(_name: str, feature: torch.Tensor, mask: torch.Tensor | None = mask) -> np.ndarray:
            return _entries(_flat(feature, mask), entries, seed)

        with torch.no_grad(), tapped(model, list(layers), keep) as kept:
            output = sight.network(on(inputs, device_of(sight.network)), [sight.network.last])[sight.network.last]
        for name in layers:
            found[name].append(kept[name])
        found[BACKBONE].append(output.cpu().numpy())
    for name, parts in found.items():
        if len({part.shape[1] for part in parts}) > 1:
            raise DataError(f"expected features of one size at {name}, got several; give inputs of one size")
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _flat(feature: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """`(batch, numbers)`."""
    if mask is not None and feature.ndim == 3 and feature.shape[:2] == mask.shape:
        real = mask.to(feature.device, torch.float32)[..., None]
        return (feature.float() * real).sum(dim=1) / real.sum(dim=1).clamp_min(1.0)
    return feature.float().flatten(1)


def _entries(flat: torch.Tensor, entries: int, seed: int) -> np.ndarray:
    width = flat.shape[1]
    if width > entries:
        chosen = np.sort(np.random.default_rng((seed, width)).permutation(width)[:entries])
        flat = flat[:, torch.from_numpy(chosen).to(flat.device)]
    return np.array(flat.cpu().numpy())  # a copy: the model may change the feature in place
