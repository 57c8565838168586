"""Gates by the name under which the command line and the manifest know them."""

from offramp.errors import UnknownNameError
from offramp.gates.each_label import EachLabel
from offramp.gates.entropy import Entropy
from offramp.gates.gate import Gate
from offramp.gates.gati import Gati
from offramp.gates.jei import Jei
from offramp.gates.margin import Margin
from offramp.gates.max_prob import MaxProb
from offramp.gates.patience import Patience
from offramp.gates.within import Within

NAMES: dict[str, Gate] = {
    "max-prob": MaxProb(),
    "entropy": Entropy(),
    "margin": Margin(),
    "patience": Patience(),
    "gati": Gati(),
    "gati-sorted": Gati(sort=True),
    "jei": Jei(),
    "each-label": EachLabel(),
    "within": Within(),
}


def gate(name: str) -> Gate:
    """The gate of that name, not fitted where it learns.

    Raises:
        UnknownNameError: listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError.among("gate", name, NAMES)
    return NAMES[name]
