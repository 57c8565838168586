"""Guarantees: what is promised of the risk of an operating point, and how it is proved. Never torch."""

from collections.abc import Callable

from offramp.decide.guarantees.crc import ConformalRisk
from offramp.decide.guarantees.guarantee import Guarantee
from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.decide.guarantees.ltt_bonferroni import Bonferroni
from offramp.decide.guarantees.ltt_holm import Holm
from offramp.decide.guarantees.ucb_wsr import BettingBound

NAMES: dict[str, Callable[[], Guarantee]] = {
    "crc": ConformalRisk,
    "ltt": LearnThenTest,
    "ltt-bonferroni": Bonferroni,
    "ltt-holm": Holm,
    "ucb-wsr": BettingBound,
}
"""Guarantees by the name that a command line or a manifest uses."""

DEFAULT = "ltt"
"""The one that is taken where none is named."""
