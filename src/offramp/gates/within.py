"""How likely all values of a regression are within their tolerances."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float

from offramp.errors import InputError
from offramp.gates.learned import weights_of


@dataclass(frozen=True)
class Within:
    """Score = the probability that no value is further off than its tolerance t, were errors normal: Π erf(t / (√2 σ)).

    An output is K values, then the logarithms of their spreads σ. From about t = 5.4 σ on the score is 1 in single
    precision.

    Attributes:
        weights: per exit the tolerance of each value, the same for all exits; none: not known yet.
    """

    weights: tuple[tuple[float, ...], ...] = ()
    rule: str = "direct"

    def score(self, output: Float[torch.Tensor, "batch outputs"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """The probability of each sample; of the backbone, whose spread is next to nothing, 1."""
        count = output.shape[1] // 2
        known = min(exit_index, len(self.weights) - 1)  # the backbone comes behind all exits
        tolerance = output.new_tensor(weights_of(self.weights, known, count, "within"))
        near = (tolerance * (-output[:, count:]).exp() / math.sqrt(2.0)).erf()
        found = near[:, 0]
        for value in range(1, count):  # not prod(): exporters make a loop of it
            found = found * near[:, value]
        return found

    def macs(self, classes: int) -> float:
        """A multiplication for each value and one between two; the error function is not counted, as no softmax is."""
        return float(classes // 2 * 2 - 1)

    def tolerating(self, tolerance: tuple[float, ...], exits: int) -> "Within":
        """The gate for these tolerances.

        Raises:
            InputError: if there are none.
        """
        if not tolerance:
            raise InputError("expected tolerances for the gate within, got none; build with the task regression")
        return replace(self, weights=(tolerance,) * exits)
