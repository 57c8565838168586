"""Training regimes by the name under which the command line and the manifest know them.

Those in `NAMES` train heads on cached features of a frozen backbone, those in `TRUNK` a copy of the backbone, too.
"""

from offramp.train.disjoint import Disjoint
from offramp.train.distil import Distil
from offramp.train.regime import Regime
from offramp.train.trunk_regimes import TRUNK, trunk_regime

__all__ = ["NAMES", "TRUNK", "trunk_regime"]

NAMES: dict[str, Regime] = {
    "distil": Distil(),
    "selfxit": Distil(temperature=1.0),
    "disjoint": Disjoint(),
}
