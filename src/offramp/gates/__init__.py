"""Gates by the name under which the command line and the manifest know them."""

from offramp.errors import UnknownNameError
from offramp.gates.entropy import Entropy
from offramp.gates.gate import Gate
from offramp.gates.margin import Margin
from offramp.gates.max_prob import MaxProb

NAMES: dict[str, Gate] = {"max-prob": MaxProb(), "entropy": Entropy(), "margin": Margin()}


def gate(name: str) -> Gate:
    """The gate of that name.

    Raises:
        UnknownNameError: listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError.among("gate", name, NAMES)
    return NAMES[name]
