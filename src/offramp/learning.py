"""Heads on a backbone: attached, given features to look at, and trained."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from offramp import train
from offramp.errors import DataError
from offramp.heads import head_type
from offramp.inputs import tokens_of
from offramp.load.combine import subset
from offramp.model.augment import Augment
from offramp.model.backbone import Backbone
from offramp.model.cache import FeatureCache, Pass
from offramp.model.fingerprint import model_fingerprint
from offramp.model.multi_exit import MultiExit
from offramp.options import Options
from offramp.progress import Progress, silent
from offramp.recipes import Recipe
from offramp.sources import Labels, Source
from offramp.split import PARTS, Parts
from offramp.tasks.task import Task
from offramp.train.fit import Fit, held_samples
from offramp.train.rows import Rows
from offramp.types import Exit, ExitPoint

AUGMENT_MACS = 1.2e13
"""Backbone MACs that augmented copies may cost at most: about three minutes on two cores."""


def check_labels(labels: Labels | None, chosen: Recipe, classes: int, extra: Sequence[Source]) -> None:
    """Refuses labels that are no classes of the model, and a recipe that cannot do with the labels there are.

    Raises:
        DataError: before any pass of the backbone.
    """
    needed = train.NAMES[chosen.regime].needs_labels
    if needed and labels is None:
        raise DataError(f"expected labels for the regime {chosen.regime!r}; pass labels=True (--labels), or use distil")
    if needed and extra:
        raise DataError(f"expected no extra data with the regime {chosen.regime!r}, which needs labels; use distil")
    if labels is not None and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"expected labels in 0..{classes - 1}, the classes of the model, got {labels.min()}..{labels.max()}"
        )


def attach(backbone: Backbone, points: Sequence[ExitPoint], options: Options) -> MultiExit:
    """The backbone with the recipe's untrained heads at the given points."""
    chosen, generator = options.chosen(), torch.Generator().manual_seed(options.seed)
    exits = tuple(Exit(point.name, head) for point in points for head in chosen.heads)
    shapes = {point.name: point.feature_shape for point in points}
    tokens = tokens_of(backbone.example)
    heads = [head_type(exit_.head).build(shapes[exit_.point], backbone.classes, generator, tokens) for exit_ in exits]
    return MultiExit(backbone, exits, nn.ModuleList(heads))


def record_features(
    multi_exit: MultiExit,
    task: Task,
    source: Source,
    extra: Sequence[Source],
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> dict[str, list[FeatureCache]]:
    """One backbone pass over every part; extra data counts as more of the training part."""
    identity = model_fingerprint(multi_exit.backbone.model)
    passes = Pass(
        multi_exit.backbone.model,
        task.logits_of,
        multi_exit.wanted(),
        identity,
        batch_size=options.batch_size,
    )
    small = replace(passes, dtype="float16")
    caches: dict[str, list[FeatureCache]] = {}
    for part in PARTS[1:]:
        here = subset(source, parts[part])
        caches[part] = [passes.run(here, work / part, split=part, progress=progress)]
    sources = [subset(source, parts["train"]), *extra]
    chosen = options.chosen()
    augments = copies_within(chosen.augment, multi_exit.backbone, [len(s) for s in sources])
    held = held_samples(len(sources[0]), chosen.schedule.held, options.seed)
    caches["train"] = [
        small.run(
            s,
            work / f"train{i}",
            split="train",
            augment=augment,
            lend=~np.isin(np.arange(len(s)), held) if i == 0 else None,
            seed=options.seed + i,
            progress=progress,
        )
        for i, (s, augment) in enumerate(zip(sources, augments, strict=True))
    ]
    return caches


def copies_within(augment: Augment, backbone: Backbone, samples: Sequence[int]) -> list[Augment]:
    """The augmentation of each source, with as many copies as `AUGMENT_MACS` allows; none but for images."""
    example = backbone.example
    images = isinstance(example, torch.Tensor) and example.ndim == 4
    left = AUGMENT_MACS if images else 0.0
    found = []
    for count in samples:
        copies = min(augment.copies, int(left / (backbone.macs * count)))
        left -= copies * backbone.macs * count
        found.append(replace(augment, copies=copies))
    return found


def train_heads(
    multi_exit: MultiExit,
    caches: dict[str, list[FeatureCache]],
    chosen: Recipe,
    labels: Labels | None,
    parts: Parts,
    options: Options,
    work: Path,
    progress: Progress = silent,
) -> list[float]:
    """Trains the heads in place on the training part; returns each head's best held-out loss."""
    regime = train.NAMES[chosen.regime]
    fit = Fit(
        heads=[multi_exit.head(index) for index in range(len(multi_exit.exits))],
        keys=multi_exit.keys(),
        regime=regime,
        schedule=chosen.schedule,
        seed=options.seed,
        checkpoint=work / f"heads-{_training(multi_exit, caches, chosen, labels, options)}.checkpoint",
    )
    known = None if labels is None else labels[parts["train"]]
    return fit.run(Rows(tuple(caches["train"])), known if regime.needs_labels else None, progress)


def _training(
    multi_exit: MultiExit,
    caches: dict[str, list[FeatureCache]],
    chosen: Recipe,
    labels: Labels | None,
    options: Options,
) -> str:
    """Names all that decides how heads come out, so that only the same training goes on from a checkpoint."""
    digest = hashlib.sha256(repr((multi_exit.exits, chosen.regime, chosen.schedule, options.seed)).encode())
    for cache in caches["train"]:
        digest.update(np.ascontiguousarray(cache.logits).tobytes())
    if labels is not None:
        digest.update(labels.tobytes())
    return digest.hexdigest()[:16]
