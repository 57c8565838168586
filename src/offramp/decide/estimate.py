"""What an operating point costs by another profile than the one it was chosen with."""

import numpy as np

from offramp.types import CostProfile, OperatingPoint


def estimated_cost(point: OperatingPoint, cost: CostProfile) -> float:
    """Mean cost of `point` as a share of the whole backbone's, from its exit shares and any cost profile.

    For a profile in seconds this is an estimate and no measurement: compacting a batch, that fewer samples cost more
    each, and what cutting costs the backbone itself, are not in it. A point that never leaves early is the backbone.

    Example:
        >>> from offramp.types import Configuration
        >>> cost = CostProfile("s", np.array([0.5, 1.0]), np.array([0.1, 0.0]), np.zeros(2))
        >>> point = OperatingPoint("half", Configuration((True,), (0.9,)), 0.0, 0.0, (0.5, 0.5), "choose")
        >>> round(estimated_cost(point, cost), 3)
        0.85
    """
    enabled = np.array(point.configuration.enabled, dtype=bool)
    if not enabled.any():
        return 1.0
    return float(np.dot(point.exit_share, cost.leaving(enabled)) / cost.backbone)
