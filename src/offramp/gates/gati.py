"""GATI's selector: a linear look at an exit's log-probabilities says whether to believe it."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from offramp.arrays import Bool
from offramp.gates.learned import weights_of
from offramp.scientific import scipy

DECAY = 1e-3
"""Weight decay of the fit, which keeps the weights finite where an exit is always right."""


@dataclass(frozen=True)
class Gati:
    """Score = the probability that the exit names the backbone's class (Balasubramanian et al. 2021, learned caches).

    GATI's selector is Linear(C, 2) with a softmax on the predictor's log-probabilities and leaves where P(hit) > a,
    0.5 by default. Of two classes only the difference counts: P(hit) = sigmoid(w · log p + b). The released code puts
    a softmax on top of the softmax before the cross-entropy, which this one does not.

    Attributes:
        weights: per exit w, then b; none: not fitted.
        sort: whether the log-probabilities are sorted, from the largest down, so that what counts is how sure the exit
            is and not of which class (ours; on ResNet-56 it selects better).
    """

    weights: tuple[tuple[float, ...], ...] = ()
    sort: bool = False
    rule: str = "direct"

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """P(hit) of each sample; of the backbone itself the largest probability."""
        if self.weights and exit_index == len(self.weights):
            return output.softmax(dim=1).amax(dim=1)
        found = output.new_tensor(weights_of(self.weights, exit_index, output.shape[1] + 1, "GATI"))
        return (self._seen(output) @ found[:-1] + found[-1]).sigmoid()

    def _seen(self, output: torch.Tensor) -> torch.Tensor:
        log_p = output.log_softmax(dim=1)
        return log_p.sort(dim=1, descending=True).values if self.sort else log_p

    def macs(self, classes: int) -> float:
        """One linear layer with one output."""
        return float(classes)

    def fitted(
        self, outputs: Float[np.ndarray, "exits samples classes"], right: Bool[np.ndarray, "exits samples"]
    ) -> "Gati":
        """Logistic regression of being right on the log-probabilities, one exit at a time."""
        found = []
        for said, hit in zip(outputs, right, strict=True):
            seen = self._seen(torch.from_numpy(np.asarray(said, np.float64))).numpy()
            found.append(tuple(logistic(seen, hit.astype(np.float64)).tolist()))
        return Gati(tuple(found), self.sort)


def logistic(
    features: Float[np.ndarray, "samples width"], target: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, " weights"]:
    """Weights, then the bias, of a logistic regression with weight decay `DECAY` on standardised features.

    Args:
        features: what it sees.
        target: 0 or 1.
    """
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    seen = np.hstack([(features - mean) / scale, np.ones((len(features), 1))])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = seen @ parameters
        value = np.logaddexp(0.0, z) - target * z
        slope = 0.5 * (1.0 + np.tanh(0.5 * z)) - target
        decay = np.append(parameters[:-1], 0.0) * DECAY
        return float(value.mean() + 0.5 * decay @ parameters), seen.T @ slope / len(seen) + decay

    found = scipy("optimize", "learned gates").minimize(loss, np.zeros(seen.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / scale
    return np.append(weights, found[-1] - weights @ mean)
