"""A short list of places to leave a model at, ranked, each with its reasons."""

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Bool, Float

from offramp.analyze.placement import greedy
from offramp.analyze.probe import agrees
from offramp.heads.reduction import Grid, Mask, is_turned
from offramp.inputs import Inputs, batch_size, call, device_of, mask_of, on, select, tokens_of
from offramp.model.backbone import Backbone
from offramp.model.capture import copy
from offramp.model.modes import frozen
from offramp.model.taps import tapped
from offramp.reading import LogitsOf
from offramp.run.choice import driver
from offramp.run.profile import segment_seconds
from offramp.types import ExitPoint

PRICE = 0.005
"""What having an exit costs, as a share of the backbone: its head, a comparison, a gather."""

FEW = 64
"""With fewer samples than this no probe is fitted."""

TIMED, PROBED = 8, 64
"""Samples in a batch when time is measured, and when features are taken."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known about every legal point of a model, in the order of depth.

    Attributes:
        points: the legal points.
        time: measured share of the backbone's time spent before each.
        agreement: share of the samples on which a ridge probe names the backbone's class; None without a probe.
        ranked: positions of the proposed points, the most useful first, and what each adds to the saving of an oracle.
    """

    points: tuple[ExitPoint, ...]
    time: Float[np.ndarray, " points"]
    agreement: Float[np.ndarray, " points"] | None
    ranked: tuple[tuple[int, float], ...]

    def reason(self, index: int) -> str:
        """In words, why a point is proposed or not."""
        point, gain = self.points[index], dict(self.ranked).get(index)
        said = [f"{100 * point.depth:.0f} % of the MACs and {100 * self.time[index]:.0f} % of the time are spent there"]
        if self.agreement is not None:
            said.append(f"a linear probe names the backbone's class for {100 * self.agreement[index]:.0f} %")
        said.append(f"the feature has {prod(point.feature_shape)} numbers")
        if point.side_values:
            said.append(f"{len(point.side_values)} other values travel along")
        verdict = "not proposed: it adds too little to the points that are"
        if gain is not None:
            guess = "" if self.agreement is not None else " (guessed from its depth; give data for a probe)"
            verdict = f"proposed: an oracle saves {100 * gain:.1f} points of the time more with it{guess}"
        return f"{'; '.join(said)}; {verdict}"


def survey(backbone: Backbone, logits_of: LogitsOf, inputs: Inputs, most: int = 6) -> Survey:
    """Every legal point measured, and the short list.

    The list is greedy: each point adds most to what an oracle would save in time, if it left where the probe is right.
    Without enough samples for a probe it is assumed that a share of the samples as large as the depth of a point can
    leave there, which spreads the points over the time.

    Args:
        backbone: the analysed model.
        logits_of: picks the logits out of its output.
        inputs: samples; a few hundred real ones for the probe, or a few of any kind.
        most: length of the short list.
    """
    points = backbone.points
    time = _time(backbone, logits_of, select(inputs, torch.arange(min(TIMED, batch_size(inputs)))))
    probed = batch_size(inputs) >= FEW and _classifies(backbone, logits_of)
    hits = _hits(backbone, logits_of, inputs) if probed else None
    assumed = (np.arange(200)[None, :] + 0.5) / 200 < time[:, None]
    ranked = greedy(assumed if hits is None else hits, time, np.full(len(points), PRICE), most)
    return Survey(points, time, None if hits is None else hits.mean(axis=1), tuple(ranked))


def _classifies(backbone: Backbone, logits_of: LogitsOf) -> bool:
    """Whether there is one answer for each sample, and not one for each pixel or token."""
    with frozen(backbone.model):
        return logits_of(call(backbone.model, copy(backbone.example))).ndim == 2


def _time(backbone: Backbone, logits_of: LogitsOf, inputs: Inputs) -> Float[np.ndarray, " points"]:
    names = [point.name for point in backbone.points]
    with frozen(backbone.model):
        taken = segment_seconds(driver(backbone, names, logits_of), len(names), inputs)
    share: np.ndarray = np.cumsum(taken)[:-1] / taken.sum()
    return share


def _hits(backbone: Backbone, logits_of: LogitsOf, inputs: Inputs) -> Bool[np.ndarray, "points samples"]:
    """Where a probe on the feature of each point names the class that the backbone names."""
    names = [point.name for point in backbone.points]
    tokens = tokens_of(backbone.example)
    grids = {point.name: Grid(4, is_turned(point.feature_shape, tokens)) for point in backbone.points}
    features: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    answers = []
    masks: list[Mask] = [None]

    def keep(name: str, feature: torch.Tensor) -> torch.Tensor:
        return grids[name](feature, masks[0]).clone()

    with frozen(backbone.model), tapped(backbone.model, names, keep) as seen:
        for start in range(0, batch_size(inputs), PROBED):
            rows = torch.arange(start, min(start + PROBED, batch_size(inputs)))
            batch = on(select(inputs, rows), device_of(backbone.model))
            masks[0] = mask_of(batch)
            answers.append(logits_of(call(backbone.model, batch)))
            for name in names:
                features[name].append(seen[name].flatten(1))
    answer = torch.cat(answers).float().cpu().numpy()
    return np.stack([agrees(torch.cat(features[name]).float().cpu().numpy(), answer) for name in names])
