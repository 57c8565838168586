import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from offramp.analyze.dominance import dominance
from offramp.geometry.gradients import pull
from offramp.geometry.sight import Sight
from offramp.testing.models import CLASSES, Toy, attached
from tests.geometry.looks import held_against, sight_of
from tests.toys import logits_of, source

WIDTH = 6


def layers() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 9), nn.ReLU(inplace=True), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, CLASSES))


PLAIN = Toy("plain", layers, lambda batch, generator: torch.randn(batch, WIDTH, generator=generator))


@pytest.mark.parametrize("size", [4, 12])
def test_norms_and_alignment_are_those_of_a_network_written_by_hand(size: int) -> None:
    """Two layers with a linear exit behind each: gradients by autograd on plain tensors, batch by batch."""
    multi_exit = attached(PLAIN.model(), PLAIN.inputs(2), ("pooled-linear",))
    labels = np.arange(12) % CLASSES
    data = source(PLAIN, 12)
    sight = Sight.of(multi_exit, logits_of, data, np.arange(12), held_against(labels), size)
    found = pull(sight)
    values = [
        p.detach().clone().requires_grad_()
        for m in (multi_exit.backbone.model, multi_exit.heads)
        for p in m.parameters()
    ]
    w1, b1, w2, b2, w3, b3, v1, c1, v2, c2 = values
    spans = [(w1, b1), (w2, b2), (w3, b3)]
    inputs = data.inputs(np.arange(12))
    assert isinstance(inputs, torch.Tensor)
    norms, cosines = [], []
    for x, y in zip(*(torch.split(part, size) for part in (inputs, torch.from_numpy(labels))), strict=True):
        first = F.relu(x @ w1.T + b1)
        second = F.relu(first @ w2.T + b2)
        said = (first @ v1.T + c1, second @ v2.T + c2, second @ w3.T + b3)
        losses = [F.cross_entropy(logits, y) for logits in said]
        norm, cosine = np.zeros((3, 3)), np.full((3, 3), np.nan)
        for b, span in enumerate(spans):

            def flat(loss: torch.Tensor, span: tuple[torch.Tensor, ...] = span) -> torch.Tensor:
                found = torch.autograd.grad(loss, span, retain_graph=True, allow_unused=True)
                return torch.cat(
                    [torch.zeros(p.numel()) if g is None else g.flatten() for g, p in zip(found, span, strict=True)]
                )

            mean = flat(torch.stack(losses).mean())
            for k, loss in enumerate(losses):
                own = flat(loss)
                norm[b, k] = float(own.norm())
                if norm[b, k]:
                    cosine[b, k] = float(F.cosine_similarity(own, mean, dim=0))
        norms.append(norm)
        cosines.append(cosine)
    np.testing.assert_allclose(found.norms, np.mean(norms, axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.alignment, np.mean(cosines, axis=0), rtol=1e-5)
    assert list(sight.spans) == ["1", "3", "backbone"]


@pytest.mark.parametrize("name", ["cnn", "vit", "text"])
def test_an_exit_does_not_pull_at_what_lies_behind_it(name: str) -> None:
    found = pull(sight_of(name))
    spans, exits = found.norms.shape
    assert spans == exits
    assert (found.norms[np.tril_indices(exits, -1)] == 0.0).all()
    assert (found.norms[np.triu_indices(exits)] > 0.0).all()
    np.testing.assert_allclose(dominance(found.norms).sum(axis=1), 1.0)
    assert found.alignment[-1, -1] == pytest.approx(1.0)  # only the last exit pulls there
    known = found.alignment[~np.isnan(found.alignment)]
    assert (np.abs(known) <= 1.0 + 1e-9).all()
