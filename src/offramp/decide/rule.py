"""How the scores of the exits decide: each alone, or with what earlier exits scored. NumPy only, never torch.

A rule sees the exits that are on, in the order in which a sample passes them; one that is off is not evaluated and
leaves no trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Float
from offramp.errors import InputError, UnknownNameError
from offramp.types import ExitTable

Memory = Float[np.ndarray, "_ _"] | None
"""What is remembered of each sample, one row each; None where a rule remembers nothing."""


@runtime_checkable
class Rule(Protocol):
    """Turns the score of an exit into the number that is compared with its threshold."""

    def start(self, samples: int) -> Memory:
        """The memory of so many samples before their first exit."""
        ...

    def step(
        self, score: Float[np.ndarray, " samples"], memory: Memory
    ) -> tuple[Float[np.ndarray, " samples"], Memory]:
        """The decisive number of each sample at an exit, and the memory for the next one; nothing is written to."""
        ...


@dataclass(frozen=True, slots=True)
class Direct:
    """The score itself.

    Example:
        >>> Direct().step(np.array([0.7]), None)
        (array([0.7]), None)
    """

    def start(self, samples: int) -> Memory:
        """Nothing."""
        return None

    def step(
        self, score: Float[np.ndarray, " samples"], memory: Memory
    ) -> tuple[Float[np.ndarray, " samples"], Memory]:
        """The score."""
        return score, None


@dataclass(frozen=True, slots=True)
class Accumulate:
    """2 g_l + sum of g_j over the earlier exits, which JEI-DNN compares with 1 (Regol et al. 2024, section 4).

    The gates g_l are marginal masses of leaving at l, cut off where they add up to 1. Leaving at the first l whose
    conditional probability is at least one half is leaving at the first l with 2 g_l + S_{l-1} >= 1, so that evidence
    adds up and a gate below one half may be the one that fires.

    Example:
        >>> memory = Accumulate().start(1)
        >>> for gate in (0.3, 0.3, 0.3):
        ...     decisive, memory = Accumulate().step(np.array([gate]), memory)
        ...     print(decisive.round(1))
        [0.6]
        [0.9]
        [1.2]
    """

    def start(self, samples: int) -> Memory:
        """No mass yet."""
        return np.zeros((samples, 1))

    def step(
        self, score: Float[np.ndarray, " samples"], memory: Memory
    ) -> tuple[Float[np.ndarray, " samples"], Memory]:
        """Twice this gate and what the earlier ones add up to."""
        assert memory is not None
        return 2.0 * score + memory[:, 0], memory + score[:, None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How many exits in a row named the class that the one before them had named (PABEE; Zhou et al. 2020).

    Scores are numbers of classes. Leaving at a count of t takes t + 1 equal answers in a row.

    Example:
        >>> memory = Patience().start(1)
        >>> for named in (3.0, 3.0, 5.0, 5.0, 5.0):
        ...     decisive, memory = Patience().step(np.array([named]), memory)
        ...     print(decisive)
        [0.]
        [1.]
        [0.]
        [1.]
        [2.]
    """

    def start(self, samples: int) -> Memory:
        """No class yet, and a count of 0."""
        return np.tile([-1.0, 0.0], (samples, 1))

    def step(
        self, score: Float[np.ndarray, " samples"], memory: Memory
    ) -> tuple[Float[np.ndarray, " samples"], Memory]:
        """The count, one up where the class is the same again."""
        assert memory is not None
        count = np.where(score == memory[:, 0], memory[:, 1] + 1.0, 0.0)
        return count, np.stack([score, count], axis=1)


NAMES: dict[str, Rule] = {"direct": Direct(), "accumulate": Accumulate(), "patience": Patience()}
"""Rules by the name that tables, gates and exported stages use."""


def rule(name: str) -> Rule:
    """The rule of that name.

    Raises:
        UnknownNameError: listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError.among("rule", name, NAMES)
    return NAMES[name]


def alone(table: ExitTable) -> None:
    """Refuses a table whose exits do not decide and answer alone, where an algorithm takes one exit at a time.

    Raises:
        InputError: saying what can be used.
    """
    if table.rule != "direct":
        raise InputError(
            f"expected scores that decide alone, got some that decide by the rule {table.rule!r}; "
            "use the searcher shared"
        )
    if table.together:
        raise InputError("expected exits that answer alone, got heads that hear each other; use the searcher shared")


def decisive(table: ExitTable, enabled: Sequence[bool] | np.ndarray) -> Float[np.ndarray, "exits samples"]:
    """The numbers that are compared with the thresholds while the exits in `enabled` are on.

    They do not depend on the thresholds: what a rule remembers of a sample is the same whether it could have left or
    not. Rows of exits that are off, and the backbone's own, are the scores.

    Example:
        >>> from offramp.testing.searchers import random_table
        >>> table = random_table(seed=0, exits=3, samples=4)
        >>> bool((decisive(table, [True, False]) == table.score).all())
        True
    """
    if table.rule == "direct":
        return table.score
    found, by = table.score.copy(), rule(table.rule)
    memory = by.start(table.samples)
    for index in np.flatnonzero(enabled):
        found[index], memory = by.step(table.score[index], memory)
    return found
