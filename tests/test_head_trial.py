from dataclasses import replace

import numpy as np
import pytest
import torch

from offramp.calibrate.temperature import Temperature
from offramp.head_trial import halves, labels_of
from offramp.heads import head_type
from offramp.model.macs import module_macs
from offramp.train.distil import Distil
from offramp.train.fit import Fit
from offramp.train.rows import Rows
from tests.toys import live
from tests.trials import POINT, SAMPLES, SEARCH, features, trials


@pytest.mark.parametrize("head", ["pooled-linear", "grid4-fc16", "sdn", "whole-conv8k3s2-fc8"])
@pytest.mark.parametrize("labelled", [False, True])
def test_the_saving_is_what_a_loop_over_the_samples_saves(head: str, labelled: bool) -> None:
    """SelfXit's eq. 3 and 4, threshold by threshold and sample by sample, on a head trained here."""
    tried, backbone, point = trials(labelled=labelled), live("cnn").backbone, live("cnn").points[POINT]
    made = head_type(head).build(point.feature_shape, backbone.classes, torch.Generator().manual_seed(0))
    key = (point.name, made.reduction.name)
    caches = halves(features(), point.name, SEARCH.judged, 0)
    Fit([made], [key], Distil(), SEARCH.schedule, 0).run(Rows((caches["train"],)))
    judging = caches["choose"]
    target = judging.logits.argmax(1)
    if labelled:
        assert tried.labels is not None
        target = tried.labels["choose"]
    with torch.no_grad():
        logits = made.predict(torch.from_numpy(judging.features[key].astype(np.float32)))
        logits = Temperature().fit(logits.numpy(), target)(logits)
    score, said = logits.softmax(1).amax(1).double().numpy(), logits.argmax(1).numpy()
    own = judging.logits.argmax(1)
    count, c1 = len(score), module_macs(made, [point.feature_shape])
    c2 = backbone.macs * (1.0 - point.depth)
    best = 0
    for threshold in score:
        leaving = score >= threshold
        lost = sum(said[i] != target[i] and own[i] == target[i] for i in np.flatnonzero(leaving))
        if lost <= 0.2 / 2 * count:
            best = max(best, int(leaving.sum()))
    expected = (best * (c2 - c1) - (count - best) * c1) / (count * backbone.macs)
    found = tried.judged(head)
    assert found.saving == pytest.approx(expected, abs=1e-9)
    assert found.leaving == pytest.approx(best / count)
    assert found.agreement == pytest.approx((said == target).mean())
    assert found.macs == pytest.approx(c1 / backbone.macs)
    assert found.saving <= tried.at_most(head) + 1e-12
    assert tried.macs(head) == pytest.approx(found.macs)


def test_a_head_with_no_threshold_within_its_budget_costs_what_it_costs() -> None:
    tried = trials(max_drop=1e-9)
    untrained = replace(SEARCH, schedule=replace(SEARCH.schedule, epochs=1, learning_rate=0.0))
    wrong = replace(tried, search=untrained, seed=3)
    found = wrong.judged("whole-conv8k3s2-fc8")
    assert found.leaving == 0.0
    assert found.saving == -found.macs < 0.0


def test_no_sample_trains_and_judges() -> None:
    made = features()
    point = live("cnn").points[POINT].name
    numbered = replace(made, logits=np.arange(SAMPLES, dtype=np.float32)[:, None])
    both = halves(numbered, point, 0.3, 5)
    train, judge = (set(both[part].logits[:, 0].astype(int)) for part in ("train", "choose"))
    assert len(judge) == 60
    assert train | judge == set(range(SAMPLES))
    assert not train & judge
    divided = labels_of(np.arange(SAMPLES), 0.3, 5)
    assert set(divided["choose"]) == judge
    np.testing.assert_array_equal(divided["train"], both["train"].logits[:, 0])
    assert {key for cache in both.values() for key in cache.features} == set(made.features)
