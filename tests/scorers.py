"""A gate of each kind; those that learn with weights that they might have learned, for four classes and two exits."""

from offramp.gates import NAMES
from offramp.gates.gate import Gate
from offramp.gates.gati import Gati
from offramp.gates.jei import Jei
from offramp.gates.within import Within

JEI = Jei(((4.0, -2.0, 1.0, -0.5, -1.5), (3.0, -1.0, 0.5, -1.0, -0.5)))
GATI = ((1.0, -0.2, -0.1, -0.4, 2.0), (0.8, 0.0, -0.3, -0.1, 1.0))
WITHIN = Within(((0.5, 2.0), (0.5, 2.0)))
SCORERS: dict[str, Gate] = {
    **NAMES,
    "jei": JEI,
    "gati": Gati(GATI),
    "gati-sorted": Gati(GATI, sort=True),
    "within": WITHIN,
}
