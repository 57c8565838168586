"""Training regimes by the name under which the command line and the manifest know them.

Those in `NAMES` train heads on cached features of a frozen backbone, the `jei` ones with their gates; those in `TRUNK`
a copy of the backbone, too.
"""

from offramp.train.bilevel import Bilevel
from offramp.train.disjoint import Disjoint
from offramp.train.distil import Distil
from offramp.train.each import DistilEach, Each
from offramp.train.gati import GatiPredictor
from offramp.train.regime import Regime
from offramp.train.trunk_regimes import TRUNK, trunk_regime
from offramp.train.values import DistilValues, Values

__all__ = ["NAMES", "TRUNK", "Bilevel", "Regime", "trunk_regime"]

NAMES: dict[str, Regime | Bilevel] = {
    "distil": Distil(),
    "selfxit": Distil(temperature=1.0),
    "disjoint": Disjoint(),
    "gati": GatiPredictor(),
    "jei": Bilevel(),
    "jei-unweighted": Bilevel(weighting="none"),
    "jei-labelfree": Bilevel(needs_labels=False),
    "distil-each": DistilEach(),
    "selfxit-each": DistilEach(temperature=1.0),
    "each": Each(),
    "distil-values": DistilValues(),
    "values": Values(),
}
