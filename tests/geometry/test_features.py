import numpy as np
import pytest
import torch

from offramp.geometry.features import features
from offramp.geometry.sight import Sight
from offramp.testing.models import CLASSES, TEXT, attached
from tests.geometry.looks import SAMPLES, held_against, sight_of
from tests.toys import logits_of, source


def test_rows_are_what_a_hook_sees_and_few_entries_are_always_the_same_ones() -> None:
    sight = sight_of("cnn", size=5)
    layers = list(dict.fromkeys(sight.network.points))
    whole = features(sight, layers, 10**6, 0)
    caught: list[torch.Tensor] = []
    module = sight.network.model.get_submodule(layers[0])
    handle = module.register_forward_hook(lambda _m, _a, out: caught.append(out.clone()))
    inputs = torch.cat([batch[0] for batch in sight.batches])  # type: ignore[misc]
    with torch.no_grad():
        logits = sight.network.model(inputs)
    handle.remove()
    np.testing.assert_allclose(whole[layers[0]], caught[0].flatten(1).numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole["backbone"], logits.numpy(), rtol=1e-4, atol=1e-5)
    few, again, others = (features(sight, layers, 20, seed)[layers[0]] for seed in (0, 0, 1))
    assert few.shape == (SAMPLES, 20)
    np.testing.assert_array_equal(few, again)
    assert not np.array_equal(few, others)
    columns = {column.tobytes() for column in whole[layers[0]].T}
    assert all(column.tobytes() in columns for column in few.T)


def test_tokens_are_averaged_over_those_that_are_no_padding() -> None:
    multi_exit = attached(TEXT.model(), TEXT.inputs(2), ("pooled-linear",))
    data = source(TEXT, 6)
    sight = Sight.of(multi_exit, logits_of, data, np.arange(6), held_against(np.arange(6) % CLASSES), 6)
    name = sight.network.points[0]
    caught: list[torch.Tensor] = []
    handle = sight.network.model.get_submodule(name).register_forward_hook(lambda _m, _a, out: caught.append(out))
    found = features(sight, [name], 10**6, 0)[name]
    handle.remove()
    inputs = data.inputs(np.arange(6))
    assert isinstance(inputs, dict)
    for row, (tokens, mask) in enumerate(zip(caught[0], inputs["attention_mask"], strict=True)):
        np.testing.assert_allclose(found[row], tokens[mask > 0].mean(0).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cnn", "vit", "text", "clicks"])
def test_every_kind_of_network_has_features(name: str) -> None:
    sight = sight_of(name)
    layers = list(dict.fromkeys(sight.network.points))
    found = features(sight, layers, 30, 0)
    assert list(found) == [*layers, "backbone"]
    assert all(len(rows) == SAMPLES and rows.shape[1] <= 30 for rows in found.values())
