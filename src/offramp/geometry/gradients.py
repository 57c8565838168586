"""How hard each exit pulls at each part of the backbone, and whether in the direction of all."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from offramp.errors import DataError
from offramp.geometry.sight import Batch, Sight


@dataclass(frozen=True, eq=False)
class Pull:
    """Gradients of the exits' losses in the spans of the backbone, means over batches.

    Attributes:
        norms: G[b, k] = ‖∇ of exit k's loss in the parameters of span b‖; 0 where the exit does not depend on them.
        alignment: A[b, k], the cosine between that gradient and the one of the mean loss of all exits; not a number
            where either is 0.
    """

    norms: Float[np.ndarray, "spans exits"]
    alignment: Float[np.ndarray, "spans exits"]


def pull(sight: Sight) -> Pull:
    """The gradients with the weights that the network has, in eval mode: dropout off, statistics as they are.

    Raises:
        DataError: if a gradient is not finite.
    """
    found = [_of(sight, batch) for batch in sight.batches]
    norms = np.mean([one[0] for one in found], axis=0)
    if not np.isfinite(norms).all():
        raise DataError("expected finite gradients, got NaN or infinity; look for them in the inputs or the weights")
    return Pull(norms, np.mean([one[1] for one in found], axis=0))


def _of(sight: Sight, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    named = dict(sight.network.named_parameters())
    every = [named[name] for names in sight.spans.values() for name in names]
    with torch.enable_grad():
        losses = sight.losses_of(batch)
        by_exit = [torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True) for loss in losses]
    spans, exits = len(sight.spans), len(losses)
    norms, alignment = np.zeros((spans, exits)), np.full((spans, exits), np.nan)
    start = 0
    for span, names in enumerate(sight.spans.values()):
        products = _products([gradients[start : start + len(names)] for gradients in by_exit])
        norms[span] = np.sqrt(products.diagonal())
        whole = products.mean(axis=1), np.sqrt(products.mean())  # with the mean gradient, and its own norm
        length = norms[span] * whole[1]
        alignment[span] = np.divide(whole[0], length, out=np.full(exits, np.nan), where=length > 0.0)
        start += len(names)
    return norms, alignment


def _products(gradients: list[tuple[torch.Tensor | None, ...]]) -> np.ndarray:
    """The inner product of each pair of exits' gradients, in double precision."""
    found = np.zeros((len(gradients), len(gradients)))
    for parameter in zip(*gradients, strict=True):
        some = [index for index, one in enumerate(parameter) if one is not None]
        if some:
            flat = torch.stack([one.flatten() for one in parameter if one is not None]).double()
            found[np.ix_(some, some)] += (flat @ flat.T).cpu().numpy()
    return found
