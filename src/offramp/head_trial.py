"""What a head at one point would save by itself: trained on some cached features and judged on others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from offramp import train
from offramp.arrays import Int
from offramp.decide.replay import operating_point
from offramp.decide.saving import subset_score
from offramp.deciding import prepared, table
from offramp.heads import head_type
from offramp.inputs import tokens_of
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache
from offramp.model.multi_exit import MultiExit
from offramp.recipe import HeadSearch, Recipe
from offramp.search.tolerance import ToleranceBudget
from offramp.sources import Labels
from offramp.tasks.task import Task
from offramp.train.bilevel import Bilevel
from offramp.train.fit import Fit, held_samples
from offramp.train.rows import Rows
from offramp.types import Exit, ExitPoint, Goal


@dataclass(frozen=True)
class Judged:
    """A head that was tried.

    Attributes:
        head: its name.
        saving: K of the head alone, at the threshold of its budget, per sample and as a share of the backbone's MACs;
            below 0 where its own MACs are more than it saves.
        leaving: share of the samples that leave there.
        agreement: share of all samples on which it answers as the backbone does, or the label where labels are read.
        macs: its own, as a share of the backbone's.
    """

    head: str
    saving: float
    leaving: float
    agreement: float
    macs: float


@dataclass(frozen=True, eq=False)
class Trials:
    """Heads at one point, all tried on the same cached features.

    Attributes:
        backbone: the frozen model.
        point: where it is left.
        chosen: regime, gate and calibrator of heads that are searched for.
        search: how they are.
        task: compares answers.
        caches: gives the samples that train heads (`train`) and those that judge them (`choose`), when first needed.
        labels: of both, where they are read.
        max_drop: the tolerance T, of which a head alone has T/2.
        seed: of the heads and their training.
    """

    backbone: Backbone
    point: ExitPoint
    chosen: Recipe
    search: HeadSearch
    task: Task
    caches: Callable[[], Mapping[str, FeatureCache]]
    labels: Mapping[str, Labels] | None
    max_drop: float
    seed: int

    def at_most(self, head: str) -> float:
        """The saving of a head by which all samples would leave: C2 - C1 as a share of the backbone's MACs."""
        cost = self._exits(head).macs()
        return float(1.0 - (cost.upto + cost.head)[0] / cost.backbone)

    def macs(self, head: str) -> float:
        """MACs of a head as a share of the backbone's."""
        cost = self._exits(head).macs()
        return float(cost.head[0] / cost.backbone)

    def judged(self, head: str) -> Judged:
        """A head trained and judged.

        It is calibrated, and its threshold set, as SelfXit does: on the samples that judge it, at the lowest threshold
        at which the share of them that leaves wrongly is within the budget T/2 of the first exit (section 3.3). Then
        K of this exit alone is HR (C2 - C1) - (1 - HR) C1 (eq. 4); where no threshold is within the budget HR is 0.
        """
        exits, regime = self._exits(head), train.NAMES[self.chosen.regime]
        assert not isinstance(regime, Bilevel)  # its gates decide together, which a recipe with a search refuses
        learned = None if self.labels is None or not regime.needs_labels else self.labels["train"]
        caches = self.caches()
        rows = Rows((caches["train"],))
        Fit([exits.head(0)], exits.keys(), regime, self.search.schedule, self.seed).run(rows, learned)
        recording = exits.record(caches["choose"])
        known = None if self.labels is None else self.labels["choose"]
        task = self.task.settled(recording.reference)
        calibrators, gate = prepared(self.chosen, recording, task, known)
        found = table(recording, task, gate, calibrators, exits.macs(gate), known)
        setting = ToleranceBudget().thresholds(found, Goal(self.max_drop))
        point = operating_point(found, setting, head)
        macs = float((found.cost.head + found.cost.gate)[0] / found.cost.backbone)
        saving = subset_score(found, setting) / (found.samples * found.cost.backbone) if setting.enabled[0] else -macs
        return Judged(head, float(saving), float(point.exit_share[0]), 1.0 - float(found.loss[0].mean()), macs)

    def _exits(self, head: str) -> MultiExit:
        shape, tokens = self.point.feature_shape, tokens_of(self.backbone.example)
        generator = torch.Generator().manual_seed(self.seed)
        made = head_type(head).build(shape, self.backbone.classes, generator, tokens)
        return MultiExit(self.backbone, (Exit(self.point.name, head),), nn.ModuleList([made]))


def halves(cache: FeatureCache, point: str, judged: float, seed: int) -> dict[str, FeatureCache]:
    """The features of a point in memory: of samples that train heads, and of a share that judges them."""
    judging = held_samples(cache.samples, judged, seed)
    training = np.setdiff1d(np.arange(cache.samples), judging)
    return {part: _rows(cache, part, point, rows) for part, rows in (("train", training), ("choose", judging))}


def labels_of(labels: Labels, judged: float, seed: int) -> dict[str, np.ndarray]:
    """The labels of both, divided in the same way."""
    judging = held_samples(len(labels), judged, seed)
    return {"train": np.delete(labels, judging), "choose": labels[judging]}


def _rows(cache: FeatureCache, split: str, point: str, rows: Int[np.ndarray, " rows"]) -> FeatureCache:
    features = {key: array[rows] for key, array in cache.features.items() if key[0] == point}
    return FeatureCache(split, len(rows), features, cache.logits[rows])
