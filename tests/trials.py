"""Heads on a point of the toy CNN, tried in a moment."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from offramp.head_trial import Trials, halves, labels_of
from offramp.heads import head_type
from offramp.heads.space import HeadSpace
from offramp.load.combine import subset
from offramp.model.cache import FeatureCache, Pass
from offramp.recipe import HeadSearch
from offramp.tasks.classification import Classification
from offramp.train.fit import Schedule
from tests.builds import RECIPE
from tests.toys import CNN, live, logits_of, source

SPACE = HeadSpace(
    named=("sdn", "pooled-linear", "mlp3x500", "pooled-mlp"),
    grids=(2, 4),
    channels=(4, 8),
    kernels=(1, 3),
    strides=(2,),
    convolutions=1,
    widths=(8, 16),
    share=10.0,
)
SEARCH = HeadSearch(trials=12, space=SPACE, schedule=Schedule(epochs=2, batch_size=32, learning_rate=1e-2))
SAMPLES, POINT = 200, 1


@cache
def features() -> FeatureCache:
    """All that the space looks at, at one point."""
    backbone, point = live("cnn").backbone, live("cnn").points[POINT]
    looks = [head_type(name).reduction for name in (*RECIPE.heads, *SPACE.looks(point.feature_shape))]
    wanted = [(point.name, one) for one in dict.fromkeys(looks)]
    with tempfile.TemporaryDirectory() as folder:
        made = Pass(backbone.model, logits_of, wanted, "toy").run(
            subset(source(CNN, SAMPLES), np.arange(SAMPLES)), Path(folder), split="train"
        )
        copied = {key: np.array(array) for key, array in made.features.items()}
        return FeatureCache("train", made.samples, copied, np.array(made.logits))


def trials(search: HeadSearch = SEARCH, labelled: bool = False, max_drop: float = 0.2) -> Trials:
    """Heads at one point; with the backbone's class as labels, or rather the one after it for a third of them."""
    made, recipe = features(), replace(RECIPE, head_search=search, labels=labelled)
    classes = np.asarray(torch.from_numpy(made.logits).argmax(1))
    labels = np.where(np.arange(SAMPLES) % 3 == 0, (classes + 1) % made.logits.shape[1], classes)
    return Trials(
        live("cnn").backbone,
        live("cnn").points[POINT],
        recipe,
        search,
        Classification(),
        lambda: halves(made, live("cnn").points[POINT].name, search.judged, 0),
        labels_of(labels, search.judged, 0) if labelled else None,
        max_drop,
        0,
    )
