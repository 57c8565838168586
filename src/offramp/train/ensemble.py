"""Fitting how the answers of exits are put together (Zero Time Waste; Wołczyk et al., NeurIPS 2021)."""

import numpy as np
import torch

from offramp.arrays import Float, Int, Num
from offramp.calibrate.temperature import Temperature
from offramp.calibrate.vector import PENALTY
from offramp.model.cache import FeatureCache
from offramp.model.multi_exit import MultiExit
from offramp.scientific import scipy
from offramp.tasks.task import Task


def fit_ensembles(
    multi_exit: MultiExit, cache: FeatureCache, task: Task, labels: Num[np.ndarray, "samples ..."] | None = None
) -> None:
    """Fits the ensembles of the heads that have one, in place, on samples that trained nothing.

    Args:
        multi_exit: with trained heads.
        cache: of these samples.
        task: names the backbone's classes.
        labels: to be right about; None: the classes that the backbone names.
    """
    ensembles = [multi_exit.head(index).ensemble for index in range(len(multi_exit.exits))]
    for alone in filter(None, ensembles):
        _set(alone.weight, np.eye(len(alone.weight))[-1])
        _set(alone.bias, np.zeros(len(alone.bias)))
    if not any(ensembles):
        return
    recording = multi_exit.record(cache)
    target = task.predict(recording.reference) if labels is None else labels
    for index, ensemble in enumerate(ensembles):
        if ensemble is not None:
            weight, bias = geometric(recording.outputs[: index + 1], target)
            _set(ensemble.weight, weight)
            _set(ensemble.bias, bias)


def geometric(
    said: Float[np.ndarray, "exits samples classes"], target: Int[np.ndarray, " samples"]
) -> tuple[Float[np.ndarray, " exits"], Float[np.ndarray, " classes"]]:
    """Weights w and biases b with which softmax(Σ w_j ln p_j + b) gives `target` the least negative log likelihood.

    The last exit is the one that answers; w is not negative, as in the paper. It begins at temperature scaling of that
    exit alone and only goes down. With n samples `PENALTY` / 2n times the squared distance from there is added, as
    `calibrate.vector` has it, so that the problem is convex with one optimum and few samples decide little.

    Args:
        said: logits or log-probabilities of the exits.
        target: the class that each sample should have.

    Raises:
        DataError: if a target is no class, or a logit is not finite.
    """
    exits, samples, classes = said.shape
    start = np.concatenate([np.eye(exits)[-1] / Temperature().fit(said[-1], target).temperature, np.zeros(classes)])
    wide = said.astype(np.float64)
    log_p = wide - np.logaddexp.reduce(wide, axis=2, keepdims=True)
    rows = np.arange(samples)

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.tensordot(values[:exits], log_p, axes=1) + values[exits:]
        away = mixed - np.logaddexp.reduce(mixed, axis=1, keepdims=True)
        likelihood = float(away[rows, target].mean())
        slope = np.exp(away)
        slope[rows, target] -= 1.0
        gradient = np.concatenate([np.tensordot(log_p, slope, axes=2), slope.sum(axis=0)]) / samples
        moved = values - start
        return PENALTY / (2 * samples) * float(moved @ moved) - likelihood, gradient + PENALTY / samples * moved

    bounds = [(0.0, None)] * exits + [(None, None)] * classes
    found = scipy("optimize", "ensembles").minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[:exits], found[exits:]


def _set(tensor: torch.Tensor, values: Float[np.ndarray, "..."]) -> None:
    tensor.copy_(torch.from_numpy(values))
