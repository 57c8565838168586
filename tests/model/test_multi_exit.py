from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.temperature import Temperature
from offramp.errors import InputError
from offramp.heads import head_type
from offramp.heads.head import Head
from offramp.heads.reduction import Global, Grid
from offramp.inputs import mask_of
from offramp.model.cache import Pass
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit, Recording
from offramp.types import Exit
from tests.reference import runtime
from tests.scorers import SCORERS
from tests.sources import Drawn
from tests.toys import CNN, HEADS, MLP, NAMES, attached, live, logits_of, untouched


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_recording_holds_what_tapping_the_model_gives(name: str, tmp_path: Path) -> None:
    model, inputs = live(name), NAMES[name].inputs(6)
    made = Pass(model.backbone.model, logits_of, model.wanted(), "me").run(
        Drawn(inputs), tmp_path / "c", split="report"
    )
    found = model.record(made)
    with torch.no_grad():
        expected = model.outputs(inputs, logits_of)
    torch.testing.assert_close(torch.from_numpy(found.outputs), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.reference, expected[-1].numpy())
    assert found.split == "report"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_tapping_a_batch_is_every_head_on_every_feature(name: str) -> None:
    model, inputs = live(name), NAMES[name].inputs(4)
    with torch.no_grad():
        found = model.outputs(inputs, logits_of)
        seen, output = runtime.features(model.backbone.model, [exit_.point for exit_ in model.exits], inputs)
        mask = mask_of(inputs)
        expected = [head(seen[exit_.point], mask) for head, exit_ in zip(model.heads, model.exits, strict=True)]
    assert (mask is not None) == (name == "text")
    torch.testing.assert_close(found, torch.stack([*expected, logits_of(output)]), rtol=0, atol=0)


@dataclass(frozen=True)
class Broken:
    name: str = "broken"
    turned: bool = False

    def __call__(self, feature: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        raise ArithmeticError("in a head")


def test_an_exception_in_a_head_leaves_the_model_alone(tmp_path: Path) -> None:
    model = CNN.model().train()
    live_ = attached(model, CNN.inputs(2))
    live_.heads[1] = Head(Broken(), nn.Sequential(nn.Linear(8, 5)), 8)
    with untouched(model), pytest.raises(ArithmeticError), frozen(model):
        live_.outputs(CNN.inputs(3), logits_of)
    with untouched(model), pytest.raises(ArithmeticError):
        Pass(model, logits_of, live_.wanted(), "me").run(Drawn.of(CNN, 6), tmp_path / "c", split="choose")


def test_keys_and_wanted_name_each_reduction_once() -> None:
    model = live("cnn")
    points = ["bn", "layer1.0", "layer1.1", "layer2.0"]
    assert HEADS == ("grid-linear", "pooled-mlp")
    assert model.wanted() == [(point, red) for point in points for red in (Grid(4), Global())]
    assert model.keys() == [(point, name) for point in points for name in ("grid4", "global")]
    twice = attached(MLP.model(), MLP.inputs(2), ("pooled-linear", "pooled-mlp"))
    assert twice.wanted() == [(point, Global()) for point in ("2", "5", "8")]
    assert len(twice.keys()) == 6


def test_costs_are_those_of_backbone_and_heads() -> None:
    model = live("mlp")
    cost = model.macs()
    total = 8 * 24 + 2 * 24 * 24 + 24 * 5
    upto = [8 * 24, 8 * 24 + 24 * 24, 8 * 24 + 2 * 24 * 24]
    assert cost.upto.tolist() == pytest.approx([value for value in upto for _ in range(2)] + [total])
    assert cost.head.tolist() == [24 * 5, 24 * 128 + 128 * 5] * 3 + [0]
    assert cost.gate.tolist() == [0] * 7
    assert cost.unit == "macs"


def test_heads_and_exits_have_to_fit() -> None:
    backbone = live("mlp").backbone
    head = head_type("pooled-linear").build((24,), 5, torch.Generator())
    with pytest.raises(InputError, match="one head per exit"):
        MultiExit(backbone, (Exit("2", "pooled-linear"),), nn.ModuleList([head, head]))
    with pytest.raises(InputError, match="sorted by depth"):
        MultiExit(backbone, (Exit("5", "pooled-linear"), Exit("2", "pooled-linear")), nn.ModuleList([head, head]))


@pytest.mark.parametrize("name", sorted(SCORERS))
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_scores_are_the_gate_on_calibrated_logits_sample_by_sample(name: str, rows: int) -> None:
    outputs = np.random.default_rng(0).normal(size=(3, 8, 4)).astype(np.float32)
    calibrators: list[Calibrator] = [Temperature(0.5), Identity()]
    found = Recording(outputs, "choose").scores(SCORERS[name], calibrators, rows)
    for n in range(8):
        for e in range(3):
            logits = torch.from_numpy(outputs[e, n : n + 1])
            score = SCORERS[name].score(logits / 0.5 if e == 0 else logits, e)
            assert found[e, n] == pytest.approx(score.item(), abs=1e-6)


def test_recording_leaves_heads_in_eval_mode_and_the_model_alone(tmp_path: Path) -> None:
    model = CNN.model().train()
    live_ = attached(model, CNN.inputs(2), ("grid-mlp",))
    made = Pass(model, logits_of, live_.wanted(), "me").run(Drawn.of(CNN, 6), tmp_path / "c", split="choose")
    live_.heads.train()
    with untouched(model):
        one, two = live_.record(made), live_.record(made)
    np.testing.assert_array_equal(one.outputs, two.outputs)
    assert not any(module.training for module in live_.heads.modules())
