"""The four parts of the data, each used for its own purpose only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offramp.arrays import Int
from offramp.errors import DataError, InputError

PARTS = ("train", "choose", "certify", "report")
"""Train heads / calibrate and search / prove the bounds / report. No sample is in two parts."""

Parts = dict[str, Int[np.ndarray, " part"]]


@dataclass(frozen=True)
class Shares:
    """The share of each part, in the order of `PARTS`; they sum to 1."""

    train: float = 0.50
    choose: float = 0.15
    certify: float = 0.20
    report: float = 0.15

    def __post_init__(self) -> None:
        values = self.values()
        if not all(value > 0 for value in values) or abs(sum(values) - 1) > 1e-9:
            raise InputError(
                f"expected four positive shares that sum to 1, got {values}; write for example 50/15/20/15"
            )

    def values(self) -> tuple[float, ...]:
        """The shares in the order of `PARTS`."""
        return (self.train, self.choose, self.certify, self.report)

    @classmethod
    def parse(cls, text: str) -> "Shares":
        """Shares written as whole numbers or percentages, such as `50/15/20/15`.

        >>> Shares.parse("50/15/20/15") == Shares()
        True
        """
        try:
            numbers = [float(part) for part in text.split("/")]
            train, choose, certify, report = (number / sum(numbers) for number in numbers)
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(f"expected four numbers such as 50/15/20/15, got {text!r}") from error
        return cls(train, choose, certify, report)

    def divide(self, samples: int, seed: int) -> Parts:
        """Disjoint sorted indices of the parts, which together are all samples.

        Raises:
            DataError: if a part would be empty.
        """
        order = np.random.default_rng(seed).permutation(samples)
        ends = np.round(np.cumsum(self.values()) * samples).astype(int)
        parts = dict(zip(PARTS, map(np.sort, np.split(order, ends[:-1])), strict=True))
        empty: Sequence[str] = [name for name, indices in parts.items() if len(indices) == 0]
        if empty:
            raise DataError(f"expected samples for every part, got {samples} in all and none to {empty[0]}; add data")
        return parts
