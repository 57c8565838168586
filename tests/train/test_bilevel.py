from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.heads import head_type
from offramp.model.cache import FeatureCache
from offramp.train.bilevel import Bilevel, BilevelFit, best_exits, masses, targets_of, weighted
from offramp.train.rows import Rows
from tests.decide.test_rule import marginals

SETTINGS = Bilevel(warm_up=3, epochs=6, phase=5, least_steps=60, batch_size=32, learning_rate=0.05)


def drawn(seed: int, samples: int = 9, exits: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    loss = torch.rand(samples, exits + 1, generator=generator) * 3
    return loss, torch.rand(samples, exits, generator=generator)


@given(st.integers(0, 1000))
def test_masses_are_the_clipped_marginals(seed: int) -> None:
    _, gates = drawn(seed)
    for row, found in zip(gates.double(), masses(gates.double()), strict=True):
        np.testing.assert_allclose(found, marginals(row.numpy()), atol=1e-12)


@given(st.integers(0, 1000))
def test_with_the_ratio_not_detached_the_gates_do_not_matter(seed: int) -> None:
    """J3: value and gradient are those of the plain sum; detached they are not."""
    loss, gates = drawn(seed)
    loss.requires_grad_(True)
    mass = masses(gates)
    as_released = (mass * loss * (loss.sum(1) / (mass * loss).sum(1))[:, None]).sum()
    (slope,) = torch.autograd.grad(as_released, loss)
    torch.testing.assert_close(as_released, loss.sum())
    torch.testing.assert_close(slope, torch.ones_like(loss), atol=1e-4, rtol=1e-4)
    (slope,) = torch.autograd.grad(weighted(loss, mass).sum(), loss)
    assert float((slope[:, :-1] - 1).abs().max()) > 0.01


def test_weights_of_the_heads_are_those_of_the_definition() -> None:
    loss, gates = drawn(3)
    mass, found = masses(gates), weighted(loss, masses(gates))
    for i in range(len(loss)):
        scale = sum(loss[i].tolist()) / sum((mass[i] * loss[i]).tolist())
        for exit_ in range(gates.shape[1]):
            assert found[i, exit_].item() == pytest.approx(float(mass[i, exit_] * loss[i, exit_]) * scale, rel=1e-4)


def test_the_best_exit_weighs_loss_against_cost() -> None:
    loss = torch.tensor([[0.5, 0.1, 0.1], [0.5, 0.4, 0.0]])
    assert best_exits(loss, torch.tensor([0.0, 0.1, 1.0])).tolist() == [1, 0]
    assert best_exits(loss, torch.tensor([0.0, 0.2, 0.3])).tolist() == [1, 2]
    assert targets_of(torch.tensor([1, 0, 2]), 2, "best").tolist() == [[0, 1], [1, 0], [0, 0]]


def cache(samples: int = 240, seed: int = 0) -> tuple[FeatureCache, np.ndarray]:
    """Features of three exits that know more and more of the label, on easy and on hard samples."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, samples)
    ease = generator.random(samples)
    features = {}
    for index, noise in enumerate((2.0, 1.0, 0.5)):
        spread = generator.normal(size=(samples, 6)) * (noise * (1.5 - ease))[:, None]
        features[f"p{index}", "global"] = (np.eye(6)[labels] * 2 + spread).astype(np.float32)
    logits = (np.eye(3)[labels] * 5 + generator.normal(size=(samples, 3))).astype(np.float32)
    return FeatureCache("train", samples, features, logits), labels


def fit(settings: Bilevel, seed: int = 0) -> tuple[BilevelFit, Rows, np.ndarray]:
    made, labels = cache()
    generator = torch.Generator().manual_seed(0)
    heads = [head_type("pooled-linear").build((6,), 3, generator) for _ in range(3)]
    return BilevelFit(heads, list(made.features), (0.3, 0.6, 0.9, 1.0), settings, seed), Rows((made,)), labels


def leaving(made: BilevelFit, rows: Rows, gate: object) -> np.ndarray:
    """At which exit each sample leaves by the paper's rule."""
    everyone, total = np.arange(len(rows)), np.zeros(len(rows))
    left = np.full(len(rows), 3)
    with torch.no_grad():
        for index, (head, key) in enumerate(zip(made.heads, made.keys, strict=True)):
            g = gate.score(head.predict(rows.features(key, everyone)), index).numpy()  # type: ignore[attr-defined]
            left = np.where((left == 3) & (2 * g + total >= 1), index, left)
            total += g
    return left


@pytest.mark.parametrize("weighting", ["none", "gate_detached"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_higher_price_makes_samples_leave_earlier(weighting: str, labelled: bool) -> None:
    """J8, on three prices."""
    mean = []
    for price in (0.01, 1.0, 20.0):
        made, rows, labels = fit(replace(SETTINGS, price=price, weighting=weighting))  # type: ignore[arg-type]
        gate = made.run(rows, labels if labelled else None)
        mean.append(float(leaving(made, rows, gate).mean()))
    assert mean[0] > mean[1] > mean[2]
    assert mean[2] < 0.1


def test_heads_and_gates_learn() -> None:
    made, rows, labels = fit(SETTINGS)
    gate = made.run(rows, labels)
    assert len(gate.weights) == 3
    with torch.no_grad():
        right = [
            float((head.predict(rows.features(key, np.arange(len(rows)))).argmax(1).numpy() == labels).mean())
            for head, key in zip(made.heads, made.keys, strict=True)
        ]
    assert right[0] < right[1] < right[2]
    assert right[2] > 0.95
    assert not any(head.training for head in made.heads)


def test_same_seed_same_gates_and_torchs_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, same, other = (fit(SETTINGS, seed) for seed in (0, 0, 1))
    gates = [made.run(rows, labels) for made, rows, labels in (first, same, other)]
    assert gates[0] == gates[1] != gates[2]
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


def test_gates_and_heads_take_turns_beginning_with_the_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    from offramp.train import bilevel

    turns: list[str] = []
    for kind in ("gate", "head"):
        name = f"_{kind}_loss"
        plain = getattr(bilevel._Run, name)

        def noted(self: object, batch: object, kind: str = kind, plain: object = plain) -> torch.Tensor:
            turns.append(kind)
            return plain(self, batch)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(bilevel._Run, name, noted)
    made, rows, labels = fit(SETTINGS)
    made.run(rows, labels)
    assert turns[:15] == ["gate"] * 5 + ["head"] * 5 + ["gate"] * 5
    assert len(turns) >= SETTINGS.least_steps


def test_heads_that_are_not_standardised_learn_on_the_numbers_as_they_are() -> None:
    made, rows, labels = fit(SETTINGS)
    generator = torch.Generator().manual_seed(0)
    heads = [head_type("gati-conv").build((6,), 3, generator) for _ in range(3)]
    BilevelFit(heads, made.keys, made.costs, SETTINGS).run(rows, labels)
    with torch.no_grad():
        last = heads[2].predict(rows.features(made.keys[2], np.arange(len(rows))))
    assert bool(torch.isfinite(last).all())
