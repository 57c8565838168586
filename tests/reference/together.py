"""One sample, one exit at a time: what heads that hear each other say, written as the paper has it."""

from collections.abc import Sequence

import numpy as np
import torch

from offramp.heads.head import Head
from offramp.inputs import Inputs
from offramp.model.multi_exit import MultiExit
from tests.reference.runtime import features


def answers(live: MultiExit, enabled: Sequence[bool], sample: Inputs) -> dict[int, np.ndarray]:
    """The distribution that each enabled exit answers with, for a batch of one."""
    seen, _ = features(live.backbone.model, [exit_.point for exit_ in live.exits], sample)
    said: dict[int, np.ndarray] = {}
    found: dict[int, np.ndarray] = {}
    for number, exit_ in enumerate(live.exits):
        if not enabled[number]:
            continue
        head = live.heads[number]
        assert isinstance(head, Head)
        before = said[max(said)] if said else None
        said[number] = probabilities(head, head.reduce(seen[exit_.point]), before)
        found[number] = said[number] if head.ensemble is None else mean(head, said)
    return found


def probabilities(head: Head, reduced: torch.Tensor, before: np.ndarray | None) -> np.ndarray:
    """The head's own distribution: its last linear layer sees what it sees, and the normalised answer before."""
    with torch.no_grad():
        *inner, last = head.net
        assert isinstance(last, torch.nn.Linear)
        for layer in inner:
            reduced = layer(reduced)
    x, w, b = (t.detach().double().numpy() for t in (reduced[0], last.weight, last.bias))
    if head.cascade is not None:
        previous = np.zeros(len(b)) if before is None else np.log(before)
        beside = (previous - previous.mean()) / np.sqrt(previous.var() + 1e-5)
        linear = head.cascade.linear
        assert isinstance(linear, torch.nn.Linear)
        x, w = np.concatenate([x, beside]), np.hstack([w, linear.weight.detach().double().numpy()])
    return normalised(np.exp(w @ x + b))


def mean(head: Head, said: dict[int, np.ndarray]) -> np.ndarray:
    """b times the product of the distributions to the power of their weights, so that it sums to one."""
    assert head.ensemble is not None
    found = np.exp(head.ensemble.bias.double().numpy())
    for number, one in said.items():
        found = found * one ** float(head.ensemble.weight[number])
    return normalised(found)


def normalised(values: np.ndarray) -> np.ndarray:
    total: np.ndarray = values / values.sum()
    return total
