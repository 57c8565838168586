import numpy as np
import pytest
import torch

from offramp.analyze.placement import greedy
from offramp.analyze.probe import agrees
from offramp.heads.reduction import Grid
from offramp.model.taps import tapped
from offramp.proposal import FEW, PRICE, survey
from tests.toys import NAMES, live, logits_of, untouched, whole


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_point_is_measured_and_the_model_left_alone(name: str) -> None:
    backbone, inputs = live(name).backbone, NAMES[name].inputs(4)
    with untouched(backbone.model):
        found = survey(backbone, logits_of, inputs, most=2)
    assert found.points == backbone.points
    assert np.all(np.diff(found.time) > 0)
    assert 0 < found.time[0] < found.time[-1] < 1
    assert found.agreement is None
    assert 1 <= len(found.ranked) <= 2
    assert [gain for _, gain in found.ranked] == sorted((gain for _, gain in found.ranked), reverse=True)
    side = [bool(point.side_values) for point in found.points]
    reasons = [found.reason(index) for index in range(len(found.points))]
    assert ["travel along" in reason for reason in reasons] == side
    picked = {index for index, _ in found.ranked}
    assert ["not proposed" in reason for reason in reasons] == [i not in picked for i in range(len(reasons))]


def test_with_enough_samples_a_probe_says_what_each_place_knows() -> None:
    backbone, inputs = live("cnn").backbone, NAMES["cnn"].inputs(FEW + 40, 3)
    found = survey(backbone, logits_of, inputs, most=3)
    names = [point.name for point in backbone.points]
    with tapped(backbone.model, names, keep=lambda _, f: Grid(4)(f).clone()) as seen:
        answer = whole(backbone.model, inputs).numpy()
    hits = np.stack([agrees(seen[name].detach().numpy(), answer) for name in names])
    assert found.agreement is not None
    np.testing.assert_allclose(found.agreement, hits.mean(axis=1), atol=0.02)
    assert list(found.ranked) == greedy(hits, found.time, np.full(len(names), PRICE), 3)
    assert "a linear probe names the backbone's class" in found.reason(0)


def test_the_probe_reads_token_features_and_named_inputs() -> None:
    inputs = NAMES["text"].inputs(FEW, 3)
    found = survey(live("text").backbone, logits_of, inputs)
    assert found.agreement is not None
    assert torch.isfinite(torch.from_numpy(found.agreement)).all()
