import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from offramp.errors import DataError, InputError
from offramp.geometry.sight import Sight, seen
from offramp.geometry.weights import weights_of
from offramp.load.arrays import open_array
from offramp.model.quantiser import HOOKS
from offramp.testing.models import CLASSES, CNN, attached
from offramp.testing.untouched import untouched
from tests.geometry.looks import SAMPLES, held_against, shaken, sight_of
from tests.toys import NAMES, logits_of, source


@pytest.mark.parametrize("name", sorted(NAMES))
def test_losses_are_the_cross_entropies_of_what_the_model_and_its_heads_say(name: str) -> None:
    toy = NAMES[name]
    multi_exit = attached(toy.model(), toy.inputs(2))
    labels = np.arange(SAMPLES) % CLASSES
    with untouched(multi_exit.backbone.model):
        sight = Sight.of(multi_exit, logits_of, source(toy, SAMPLES), np.arange(SAMPLES), held_against(labels), size=7)
        found = sight.losses()
    with torch.no_grad():
        said = multi_exit.outputs(source(toy, SAMPLES).inputs(np.arange(SAMPLES)), logits_of)
    expected = torch.stack([F.cross_entropy(logits, torch.from_numpy(labels)) for logits in said])
    torch.testing.assert_close(torch.from_numpy(found).float(), expected, rtol=1e-4, atol=1e-4)
    assert len(sight.exits) == len(said)
    assert sight.exits[-1] == "backbone"


def test_heads_that_hear_each_other_are_seen_as_they_answer() -> None:
    multi_exit = attached(CNN.model(), CNN.inputs(2), ("ztw",))
    labels = np.arange(SAMPLES) % CLASSES
    rows = np.arange(SAMPLES)
    sight = Sight.of(multi_exit, logits_of, source(CNN, SAMPLES), rows, held_against(labels), SAMPLES)
    with torch.no_grad():
        said = multi_exit.outputs(source(CNN, SAMPLES).inputs(rows), logits_of)
    expected = torch.stack([F.cross_entropy(logits, torch.from_numpy(labels)) for logits in said])
    torch.testing.assert_close(torch.from_numpy(sight.losses()).float(), expected, rtol=1e-4, atol=1e-4)


def test_other_weights_are_seen_with_statistics_of_the_data_and_the_first_come_back() -> None:
    sight = sight_of("cnn", size=SAMPLES)
    start = weights_of(sight.network)
    here, there = sight.at(start), sight.at(shaken(start, 1))
    assert not np.allclose(here, there)
    np.testing.assert_array_equal(sight.at(start), here)
    norm = sight.network.model.bn
    assert isinstance(norm, nn.BatchNorm2d)
    conv = sight.network.model.conv
    assert isinstance(conv, nn.Conv2d)
    with torch.no_grad():
        seen_by_norm = conv(sight.batches[0][0])
    torch.testing.assert_close(norm.running_mean, seen_by_norm.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, seen_by_norm.var((0, 2, 3)))


def test_spans_part_the_backbone_by_the_exits_they_lead_to() -> None:
    sight = sight_of("cnn")
    every = [name for names in sight.spans.values() for name in names]
    assert sorted(every) == sorted(f"model.{name}" for name, _ in sight.network.model.named_parameters())
    assert list(sight.spans)[-1] == "backbone"
    assert "model.fc.weight" in sight.spans["backbone"]


def test_two_exits_of_one_point_have_names_of_their_own() -> None:
    multi_exit = attached(CNN.model(), CNN.inputs(2), ("pooled-linear", "grid-linear"))
    sight = Sight.of(multi_exit, logits_of, source(CNN, 4), np.arange(4), held_against(np.arange(4) % CLASSES), size=4)
    assert len(set(sight.exits)) == len(sight.exits) == len(multi_exit.exits) + 1
    assert seen(multi_exit).exits == multi_exit.exits
    assert set(sight.spans) < set(sight.exits)


def test_a_model_in_eight_bits_has_no_gradients() -> None:
    multi_exit = attached(CNN.model(), CNN.inputs(2))
    multi_exit.backbone.model.register_module(HOOKS, nn.BatchNorm1d(1))
    with pytest.raises(InputError, match="rounded to eight bits"):
        Sight.of(multi_exit, logits_of, source(CNN, 4), np.arange(4), held_against(np.arange(4)), 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_data_that_cannot_be_looked_at_are_refused(bad: float) -> None:
    multi_exit = attached(CNN.model(), CNN.inputs(2))
    with pytest.raises(DataError, match="at least two samples"):
        Sight.of(multi_exit, logits_of, source(CNN, 4), np.arange(1), held_against(np.arange(1)), 4)
    inputs = CNN.inputs(4)
    assert isinstance(inputs, torch.Tensor)
    inputs[2, 0, 0, 0] = bad
    with pytest.raises(DataError, match="sample 2"):
        Sight.of(
            multi_exit, logits_of, open_array(inputs, None, None, "bad"), np.arange(4), held_against(np.arange(4)), 4
        )
