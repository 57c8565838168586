"""Searchers: each chooses configurations from recorded outputs. NumPy only, never torch."""

from collections.abc import Callable
from functools import partial

from offramp.search.coordinate import Coordinate
from offramp.search.dyce import Dyce
from offramp.search.searcher import Searcher
from offramp.search.shared import SharedThreshold
from offramp.search.shares import GeometricShares, OptimisedShares
from offramp.search.tolerance import OptimisedBudget, ToleranceBudget
from offramp.search.uniform import Uniform

NAMES: dict[str, Callable[[], Searcher]] = {
    "coordinate": Coordinate,
    "dyce": Dyce,
    "dyce-iterative": partial(Dyce, single=False),
    "dyce-iterative-brent": partial(Dyce, single=False, brent=True),
    "dyce-single": partial(Dyce, iterative=False),
    "dyce-single-brent": partial(Dyce, iterative=False, brent=True),
    "shared": SharedThreshold,
    "shares-geometric": GeometricShares,
    "shares-optimised": OptimisedShares,
    "tolerance": ToleranceBudget,
    "tolerance-all": partial(ToleranceBudget, subset=False),
    "tolerance-equal": partial(ToleranceBudget, halving=False),
    "tolerance-optimised": OptimisedBudget,
    "uniform": Uniform,
    "uniform-0.9": partial(Uniform, thresholds=(0.9,)),
    "uniform-1": partial(Uniform, thresholds=(1.0,)),
}
"""Searchers by the name that a command line or a manifest uses."""
