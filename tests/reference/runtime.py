"""One sample at a time, on the user's own model: what running with early exits means."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.inputs import Inputs
from offramp.model.multi_exit import MultiExit
from offramp.types import Configuration


def features(model: nn.Module, names: Sequence[str], sample: Inputs) -> tuple[dict[str, torch.Tensor], Any]:
    """The outputs of the named modules, and the model's own, for a batch of one."""
    modules = dict(model.named_modules())
    seen: dict[str, torch.Tensor] = {}
    handles = []
    for name in names:

        def keep(_module: nn.Module, _args: Any, output: torch.Tensor, name: str = name) -> None:
            seen[name] = output.clone()

        handles.append(modules[name].register_forward_hook(keep))
    with torch.no_grad():
        if isinstance(sample, dict):
            output = model(**sample)
        else:
            output = model(*sample) if isinstance(sample, tuple) else model(sample)
    for handle in handles:
        handle.remove()
    return seen, output


def leave(
    live: MultiExit, configuration: Configuration, gate: Gate, calibrators: Sequence[Calibrator], sample: Inputs
) -> tuple[int, torch.Tensor, float, float]:
    """Exit, calibrated logits, score, and the smallest distance of a score that decided from its threshold."""
    seen, output = features(live.backbone.model, [exit_.point for exit_ in live.exits], sample)
    final = output["logits"] if isinstance(output, dict) else output
    nearest, before = float("inf"), list[float]()
    mask = sample.get("attention_mask") if isinstance(sample, dict) else None
    for index, exit_ in enumerate(live.exits):
        if not configuration.enabled[index]:
            continue
        with torch.no_grad():
            logits = calibrators[index](live.heads[index](seen[exit_.point], mask))
        score = decisive(gate.rule, before, gate.score(logits, index).item())
        nearest = min(nearest, abs(score - configuration.threshold[index]))
        if score >= configuration.threshold[index]:
            return index, logits[0], score, nearest
        before.append(gate.score(logits, index).item())
    return len(live.exits), final[0], gate.score(final, len(live.exits)).item(), nearest


def decisive(rule: str, before: Sequence[float], score: float) -> float:
    """What is compared with the threshold, from the scores of the exits passed and this one's."""
    if rule == "accumulate":
        return 2.0 * score + sum(before)
    if rule == "patience":
        return float(len(list(takewhile(lambda named: named == score, reversed(before)))))
    return score
