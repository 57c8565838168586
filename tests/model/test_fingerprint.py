import torch
from torch import nn

from offramp.model.fingerprint import model_fingerprint
from tests.toys import CNN, MLP, NAMES, untouched


def test_same_seed_same_print_another_seed_another() -> None:
    for toy in NAMES.values():
        model = toy.model()
        with untouched(model):
            assert model_fingerprint(model) == model_fingerprint(toy.model())
        assert model_fingerprint(model) != model_fingerprint(toy.model(seed=1))


def test_every_weight_and_buffer_counts() -> None:
    reference = model_fingerprint(CNN.model())
    for name in CNN.model().state_dict():
        model = CNN.model()
        tensor = model.state_dict()[name]
        if tensor.is_floating_point():
            tensor.view(-1)[-1] = torch.nextafter(tensor.view(-1)[-1], torch.tensor(9.0))
        else:
            tensor.add_(1)
        assert model_fingerprint(model) != reference, name


def test_names_shapes_types_and_classes_count() -> None:
    one = nn.Sequential(nn.Linear(2, 3, bias=False))
    two = nn.Sequential(nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        two.get_parameter("0.weight").copy_(one.get_parameter("0.weight").reshape(2, 3))
    three = nn.ModuleList([one[0]])
    four = nn.Sequential(nn.Identity(), one[0])
    five = nn.Sequential(nn.Linear(2, 3, bias=False).double())
    assert len({model_fingerprint(model) for model in (one, two, three, four, five)}) == 5


def test_modes_layout_and_gradients_do_not_count() -> None:
    model = MLP.model()
    reference = model_fingerprint(model)
    model.train()
    model.requires_grad_(False)
    weight = model.get_parameter("0.weight")
    weight.data = weight.data.t().contiguous().t()
    assert not weight.is_contiguous()
    assert model_fingerprint(model) == reference


def test_models_in_half_precision_and_empty_buffers_have_one() -> None:
    model = nn.BatchNorm1d(3).to(torch.bfloat16)
    model.register_buffer("empty", torch.zeros(0))
    assert len(model_fingerprint(model)) == 64
