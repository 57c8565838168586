"""J6 and J7 on a made-up set: what the variants of JEI-DNN's training do on samples that were not learnt from."""

from dataclasses import replace
from functools import cache as remembered
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from offramp.heads import head_type
from offramp.train.bilevel import BilevelFit
from offramp.train.rows import Rows
from tests.train.test_bilevel import SETTINGS, cache, leaving

COSTS = (0.3, 0.6, 0.9, 1.0)
PRICE = 1.0
SEEDS = (0, 1, 2)


@remembered
def found(**changed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean cost, and mean cross-entropy and price together, at the paper's rule, for each seed."""
    rows = []
    for seed in SEEDS:
        learnt, labels = cache(400, seed)
        fresh, truth = cache(2000, 1000 + seed)
        generator = torch.Generator().manual_seed(seed)
        heads = [head_type("pooled-linear").build((6,), 3, generator) for _ in range(3)]
        settings = replace(SETTINGS, least_steps=400, phase=20, price=PRICE, **changed)
        made = BilevelFit(heads, list(learnt.features), COSTS, settings, seed)
        left = leaving(made, Rows((fresh,)), made.run(Rows((learnt,)), labels))
        with torch.no_grad():
            said = [
                *(
                    head.predict(torch.from_numpy(fresh.features[key]))
                    for head, key in zip(heads, made.keys, strict=True)
                ),
                torch.from_numpy(fresh.logits),
            ]
        loss = np.stack([F.cross_entropy(one, torch.from_numpy(truth), reduction="none").numpy() for one in said])
        cost = np.array(COSTS)[left]
        rows.append((cost.mean(), (loss[left, np.arange(len(left))] + PRICE * cost).mean()))
    return np.array(rows)[:, 0], np.array(rows)[:, 1]


def test_weights_by_counts_of_best_exits_make_samples_leave_earlier() -> None:
    """J7, its second half: they overstate how rare positive targets are."""
    assert (found(positives="best")[0] < found()[0]).all()


def test_targets_from_the_best_exit_on_are_not_better_than_the_best_alone() -> None:
    """J7, its first half, does not hold here: samples leave earlier, and for it lose more than is saved."""
    assert (found()[0] < found(targets="best")[0]).all()
    assert (found()[1] > found(targets="best")[1]).all()


def test_weighting_heads_by_their_gates_is_not_better_than_all_alike() -> None:
    """J6 does not hold here."""
    assert found()[1].mean() > found(weighting="none")[1].mean()


def test_every_variant_leaves_early_and_is_better_than_never_leaving() -> None:
    """So that the comparisons are between trainings that work."""
    fresh = [cache(2000, 1000 + seed) for seed in SEEDS]
    never = [
        float(F.cross_entropy(torch.from_numpy(made.logits), torch.from_numpy(labels))) + PRICE
        for made, labels in fresh
    ]
    for changed in ({}, {"targets": "best"}, {"positives": "best"}, {"weighting": "none"}):
        cost, total = found(**changed)
        assert total.mean() < np.mean(never)
        assert cost == pytest.approx(np.full(len(SEEDS), 0.5), abs=0.15)
