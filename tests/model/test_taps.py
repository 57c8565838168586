from collections import OrderedDict

import pytest
import torch
from torch import nn

from offramp.errors import CaptureError, UnknownNameError
from offramp.model.taps import first_tensor, tapped
from tests.toys import CNN, MLP, untouched, whole


def test_keeps_what_leaves_the_module_before_it_is_changed_in_place() -> None:
    model, inputs = CNN.model(), CNN.inputs(3)
    with untouched(model), tapped(model, ["bn", "layer1.0"], keep=lambda _, f: f.clone()) as seen:
        whole(model, inputs)
        with torch.no_grad():
            expected = model.get_submodule("bn")(model.get_submodule("conv")(inputs))
        torch.testing.assert_close(seen["bn"], expected, rtol=0, atol=0)
        assert float(expected.min()) < 0
        assert seen["layer1.0"].shape == (3, 8, 12, 12)


def test_each_forward_replaces_what_was_kept() -> None:
    model = MLP.model()
    with tapped(model, ["0"], keep=lambda _, f: f.clone()) as seen:
        whole(model, MLP.inputs(2, 1))
        first = seen["0"]
        whole(model, MLP.inputs(2, 2))
        assert not torch.equal(first, seen["0"])


def test_hooks_are_gone_after_an_exception_in_the_block_in_keep_and_in_the_model() -> None:
    model = MLP.model()

    def fail(_name: str, _feature: torch.Tensor) -> None:
        raise RuntimeError("in keep")

    with untouched(model), pytest.raises(RuntimeError, match="in keep"), tapped(model, ["0"], keep=fail):
        whole(model, MLP.inputs(2))
    with untouched(model), pytest.raises(ZeroDivisionError), tapped(model, ["0"], keep=lambda _, f: f):
        raise ZeroDivisionError
    with untouched(model), pytest.raises(RuntimeError, match="shapes"), tapped(model, ["0"], keep=lambda _, f: f):
        whole(model, torch.zeros(2, 3))


def test_an_unknown_name_is_refused_before_any_hook_is_set() -> None:
    model = MLP.model()
    with (
        untouched(model),
        pytest.raises(UnknownNameError, match="'nowhere'"),
        tapped(model, ["0", "nowhere"], keep=lambda _, f: f),
    ):
        pass


def test_the_hidden_state_is_the_first_tensor_of_an_output() -> None:
    tensor, other = torch.zeros(1), torch.ones(1)
    for output in (tensor, (tensor, other), [tensor], {"a": tensor}, OrderedDict(a=None, b=tensor), ((None, tensor),)):
        assert first_tensor(output) is tensor
    with pytest.raises(CaptureError, match="expected a module that returns a tensor, got str"):
        first_tensor("words")


def test_the_calls_of_a_module_are_told_apart_in_every_forward() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Identity())
    model.append(model[1])  # the same module twice
    model[0].register_forward_hook(lambda _module, _args, output: output * 2)
    with tapped(model, ["1@1", "1"], keep=lambda name, f: (name, f.clone())) as seen:
        for value in (1.0, 3.0):
            output = model(torch.full((1, 2), value))
            assert {name: kept[0] for name, kept in seen.items()} == {"1": "1", "1@1": "1@1"}
            torch.testing.assert_close(seen["1@1"][1], output)
    with pytest.raises(UnknownNameError, match="'9@1'"), tapped(model, ["9@1"], keep=lambda _, f: f):
        pass


def test_the_users_own_hooks_still_run() -> None:
    model, calls = MLP.model(), []
    model.get_submodule("0").register_forward_hook(lambda *_: calls.append(1))
    with tapped(model, ["0"], keep=lambda _, f: f.clone()):
        whole(model, MLP.inputs(2))
    whole(model, MLP.inputs(2))
    assert len(calls) == 2
    assert len(nn.Module.named_modules(model).__next__()[1]._forward_hooks) == 0
