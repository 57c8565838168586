"""Vector scaling (Guo et al. 2017, section 4.2): a scale and a bias for each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Float
from offramp.calibrate.calibrator import Target
from offramp.calibrate.parametric import like
from offramp.calibrate.temperature import Temperature, negative_log_likelihood
from offramp.scientific import scipy

LEAST = 0.01
"""Smallest scale of a class: a larger logit stays evidence for its class."""

PENALTY = 16.0
"""Weight of the squared distance from temperature scaling, in nats over all samples: a normal prior of standard
deviation 1/4. Two numbers per class overfit a few hundred samples of a hundred classes; with this they move where there
is evidence. Of 1, 4, 16, 64 and 256 it was best on made-up logits whose classes are distorted, and cost little on
others."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Multiplies the logit of each class by a number and adds another: `a * z + b`.

    **It may change the class**, since classes are scaled differently: what an exit answers is the class with the
    largest calibrated logit. Losses, certificates and the runtime all speak of that one.

    Attributes:
        scale: one positive number per class; empty before `fit`, which changes nothing.
        bias: one number per class.

    Example:
        >>> Vector((1.0, 2.0), (0.0, -1.0))(np.array([[2.0, 1.4]]))
        array([[2. , 1.8]])
    """

    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()

    def fit(self, logits: Float[np.ndarray, "samples classes"], target: Target) -> "Vector":
        """The scales and biases with the least negative log likelihood of `target`, near those of temperature scaling.

        L-BFGS starts at temperature scaling and only goes down, so the target is never less likely than there. With
        n samples it minimises NLL + `PENALTY` / 2n (|a - 1/T|² + |b|²), which is convex.

        Example:
            >>> logits = np.array([[2.0, 1.0, 0.0]] * 6)
            >>> fitted = Vector().fit(logits, np.array([0, 1, 1, 1, 1, 2]))
            >>> int(fitted(logits)[0].argmax())
            1
        """
        start = 1.0 / Temperature().fit(logits, target).temperature
        wide, classes, n = logits.astype(np.float64), logits.shape[1], len(target)
        chosen = target if target.ndim == 2 else np.eye(classes)[target]
        first = np.concatenate([np.full(classes, start), np.zeros(classes)])

        def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
            scaled = wide * values[:classes] + values[classes:]
            share = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))
            away, slope = values - first, (share - chosen) / n
            gradient = np.concatenate([(slope * wide).sum(axis=0), slope.sum(axis=0)]) + PENALTY / n * away
            return negative_log_likelihood(scaled, target) + PENALTY / (2 * n) * float(away @ away), gradient

        found = scipy("optimize", "vector scaling").minimize(
            objective,
            first,
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST, None)] * classes + [(None, None)] * classes,
        )
        return Vector(tuple(found.x[:classes].tolist()), tuple(found.x[classes:].tolist()))

    @property
    def arrays(self) -> tuple[Float[np.ndarray, " classes"], ...]:
        """Scale and bias; nothing before `fit`."""
        return (np.array(self.scale), np.array(self.bias)) if self.scale else ()

    def apply(self, logits: Any, *arrays: Any) -> Any:
        """`a * z + b` with the arrays given, of the kind of the logits."""
        return logits * arrays[0] + arrays[1] if arrays else logits

    def __call__(self, logits: Any) -> Any:
        """`a * z + b`, for a NumPy array or a torch tensor."""
        return self.apply(logits, *(like(logits, array) for array in self.arrays))
