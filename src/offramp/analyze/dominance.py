"""Which exit pulls at which part of the backbone."""

import numpy as np

from offramp.arrays import Float


def dominance(norms: Float[np.ndarray, "spans exits"]) -> Float[np.ndarray, "spans exits"]:
    """Each exit's share of the gradients in a span: D[b, k] = G[b, k] / sum over j of G[b, j].

    G[b, k] is the norm of the gradient of exit k's loss in the parameters of span b. The definition is that of this
    project, for what Kubaty et al. 2025 call gradient dominance. Not a number where no exit pulls.

    Example:
        >>> dominance(np.array([[3.0, 1.0], [0.0, 2.0]])).tolist()
        [[0.75, 0.25], [0.0, 1.0]]
    """
    total = norms.sum(axis=1, keepdims=True)
    found: np.ndarray = norms / np.where(total > 0.0, total, np.nan)
    return found


def middle(shares: Float[np.ndarray, "spans exits"]) -> float:
    """Share of the exits between the first and the backbone's last, mean over the spans where any exit pulls.

    Not a number where none pulls anywhere, or there are no exits between the two.

    Example:
        >>> middle(np.array([[0.5, 0.3, 0.2], [0.0, 0.5, 0.5]]))
        0.4
    """
    if shares.shape[1] < 3:
        return float("nan")
    inner = shares[:, 1:-1].sum(axis=1)[~np.isnan(shares[:, -1])]
    return float(inner.mean()) if len(inner) else float("nan")
