"""Training regimes by the name under which the command line and the manifest know them."""

from offramp.train.disjoint import Disjoint
from offramp.train.distil import Distil
from offramp.train.regime import Regime

NAMES: dict[str, Regime] = {
    "distil": Distil(),
    "selfxit": Distil(temperature=1.0),
    "disjoint": Disjoint(),
}
