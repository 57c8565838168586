import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError, DataError, InputError
from offramp.inputs import Inputs, call
from offramp.load.models import load_model
from offramp.load.quantised import agreement, quantised, rebuilt
from offramp.load.weights import fill, save_weights
from offramp.model.augment import Augment
from offramp.model.points import analyse
from offramp.model.quantiser import Factor, Quantiser, rounds
from offramp.recipe import Student
from offramp.students import student_exit
from offramp.tasks.multilabel import Multilabel
from offramp.tasks.regression import Regression
from offramp.testing.models import CLICKS, CNN, MLP, TEXT, TOYS, VIT, Toy
from offramp.train.course import Course
from tests.toys import logits_of, source, untouched

pytest.importorskip("nncf")


@cache
def eight_bits(toy: Toy) -> nn.Module:
    return quantised(toy.model(), source(toy, 64))


def answers(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    with torch.no_grad():
        return logits_of(call(model, inputs))


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: str(toy.name))
def test_a_quantised_model_answers_nearly_as_before_and_nothing_happens_to_the_original(toy: Toy) -> None:
    model, x = toy.model(), toy.inputs(200, 7)
    before = answers(model, x)
    with untouched(model):
        found = quantised(model, source(toy, 64))
    difference = answers(found, x) - before
    assert 0 < float(difference.norm() / before.norm()) < 0.1
    share, count = agreement(model, found, source(toy, 200, 7))
    assert share == float((answers(found, x).argmax(1) == before.argmax(1)).double().mean()) > 0.85
    assert count == 200


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: str(toy.name))
def test_it_can_be_left_where_the_original_can(toy: Toy) -> None:
    floats = analyse(toy.model(), toy.inputs(2), logits_of)
    found = analyse(eight_bits(toy), toy.inputs(2), logits_of)
    assert found.graph is not None
    assert [point.depth for point in found.points] == [point.depth for point in floats.points]
    assert [point.feature_shape for point in found.points] == [point.feature_shape for point in floats.points]


def test_it_has_no_student_since_nothing_can_learn_through_rounding() -> None:
    branch = Student(share=0.5, depth=0.04, course=Course(seen=1))
    floats, found = (analyse(model, CNN.inputs(2), logits_of) for model in (CNN.model(), eight_bits(CNN)))
    assert len(student_exit(floats, branch, logits_of, Augment())) == 1
    assert student_exit(found, branch, logits_of, Augment()) == []
    with pytest.raises(InputError, match="expected a model with gradients to make a student of"):
        student_exit(found, Student(share=0.99), logits_of, Augment())


def test_weights_and_activations_are_on_the_grid() -> None:
    seen: dict[str, int] = {}

    def count(name: str) -> object:
        return lambda _module, _args, output: seen.update({name: output.unique().numel()})

    model = copy.deepcopy(eight_bits(CNN))
    for name, module in model.named_modules():
        if isinstance(module, Quantiser):
            module.register_forward_hook(count(name))  # type: ignore[arg-type]
    answers(model, CNN.inputs(8))
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules())
    weights = {name: levels for name, levels in seen.items() if "pre_hooks" in name and name.endswith("__1.0")}
    assert len(weights) == layers
    for name, levels in seen.items():
        scale = model.get_submodule(name).get_buffer("scale")
        assert 1 < levels <= 256 * scale.numel()
        assert scale.numel() > 1 if name in weights else scale.ndim == 0


@pytest.mark.parametrize("toy", [CNN, VIT], ids=lambda toy: str(toy.name))
def test_its_state_dict_is_all_there_is_to_it(toy: Toy, tmp_path: Path) -> None:
    model = eight_bits(toy)
    save_weights(model, tmp_path / "deep" / "w.safetensors")
    again = toy.model(seed=5)
    fill(again, model.state_dict(), "memory")
    torch.testing.assert_close(answers(again, toy.inputs(9)), answers(model, toy.inputs(9)), rtol=0, atol=0)
    (tmp_path / "net.py").write_text(
        "from offramp.testing.models import NAME\n\ndef net():\n    return NAME.model(5)\n".replace(
            "NAME", toy.name.upper()
        )
    )
    loaded = load_model(f"{tmp_path / 'net.py'}:net", tmp_path / "deep" / "w.safetensors").model
    torch.testing.assert_close(answers(loaded, toy.inputs(9)), answers(model, toy.inputs(9)), rtol=0, atol=0)


class Attending(nn.Module):
    """Attention written out in plain operations."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.outer = nn.LayerNorm(8), nn.Linear(8, 4)
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        attention = (self.query(x) @ self.key(x).transpose(1, 2)).softmax(2)
        found: torch.Tensor = self.outer(attention @ self.value(x))[:, 0]
        return found


PLAIN = Toy("plain", Attending, lambda batch, generator: torch.randn(batch, 5, 8, generator=generator))


def test_transformers_are_told_by_their_attention() -> None:
    def smoothed(toy: Toy, transformer: bool | None = None) -> bool:
        model = quantised(toy.model(), source(toy, 32), transformer=transformer)
        return any(isinstance(module, Factor) for module in model.modules())

    assert [smoothed(toy) for toy in (VIT, TEXT, PLAIN, CNN, CLICKS)] == [True, True, True, False, False]
    assert not smoothed(VIT, transformer=False)
    assert smoothed(MLP, transformer=True)


def test_no_module_of_it_has_two_names() -> None:
    """NNCF gives three layers with one input one module; the exporter would call all modules by other paths."""
    model = eight_bits(PLAIN)
    factors = [name for name, module in model.named_modules() if isinstance(module, Factor)]
    assert sum("linear" in name for name in factors) == 4
    assert len(list(model.named_modules(remove_duplicate=False))) == len(list(model.named_modules()))


def test_only_so_many_samples_are_looked_at() -> None:
    model, inputs = MLP.model(), MLP.inputs(100)
    assert isinstance(inputs, torch.Tensor)
    loud = inputs.clone()
    loud[1] *= 1000  # neither the first nor the last
    few = quantised(model, loud, samples=2)
    torch.testing.assert_close(few.state_dict(), quantised(model, inputs[[0, -1]]).state_dict(), rtol=0, atol=0)
    scales = [name for name in few.state_dict() if name.endswith(".scale") and "post_hooks" in name]
    everyone = quantised(model, loud).state_dict()
    assert everyone[scales[0]] > 10 * few.state_dict()[scales[0]]


def test_agreement_is_measured_on_inputs_that_were_not_looked_at() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.zeros(10, 2)
    x[::3] = 1.0  # rows 0, 3, 6 and 9 are looked at
    with torch.no_grad():
        for model, last in ((one, 1.0), (other, -1.0)):
            model.weight.copy_(torch.tensor([[0.0, 0.0], [last, last]]))
            model.bias.copy_(torch.tensor([0.5, 0.0]))
    assert agreement(one, other, x, samples=4) == (1.0, 4)
    assert agreement(one, other, x, samples=10) == (0.6, 10)


def test_what_cannot_be_quantised_is_refused_with_a_reason() -> None:
    with pytest.raises(InputError, match="quantised Sequential; use it as it is"):
        quantised(eight_bits(MLP), MLP.inputs(4))
    with pytest.raises(InputError, match="at least one sample"):
        quantised(MLP.model(), MLP.inputs(4), samples=0)
    with pytest.raises(DataError, match="inputs that Sequential takes"):
        quantised(MLP.model(), torch.randn(4, 9))

    class Odd(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.max() > 0:
                raise RuntimeError("too loud")
            return super().forward(x)

    with pytest.raises(CaptureError, match="cannot quantise Odd: RuntimeError: too loud"):
        quantised(Odd(3, 2), torch.arange(64.0)[:, None].expand(64, 3) - 32)


def test_quantisers_of_others_are_refused() -> None:
    state = {"__nncf_hooks.post_hooks.x__0.0._scale_param_storage": torch.ones(1)}
    assert rounds(state)
    with pytest.raises(
        InputError, match=r"expected the quantisers of offramp, got _scale_param_storage at post_hooks\.x"
    ):
        rebuilt(MLP.model(), state)


def test_agreement_is_that_of_the_task() -> None:
    one, other, x = nn.Linear(2, 2), nn.Linear(2, 2), torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.5, 3.0], [2.0, 2.0]])
    with torch.no_grad():
        for model, off in ((one, 0.0), (other, 1.0)):
            model.weight.copy_(torch.eye(2))
            model.bias.copy_(torch.tensor([0.0, -2.0 * off]))
    same = (x[:, 1] > 0) == (x[:, 1] > 2)
    assert agreement(one, other, x, samples=4, task=Multilabel()) == (float((1 + same.double()).mean() / 2), 4)
    assert agreement(one, other, x, samples=4, task=Regression((1.0,))) == (0.0, 4)
    assert agreement(one, other, x, samples=4, task=Regression((1.0, 2.5))) == (1.0, 4)
