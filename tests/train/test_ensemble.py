import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from offramp.calibrate.temperature import Temperature, negative_log_likelihood
from offramp.calibrate.vector import PENALTY
from offramp.errors import DataError
from offramp.heads.head import HeadType
from offramp.heads.reduction import Global
from offramp.model.cache import FeatureCache
from offramp.model.multi_exit import MultiExit
from offramp.tasks.classification import Classification
from offramp.testing.models import headed
from offramp.train.distil import Distil
from offramp.train.ensemble import fit_ensembles, geometric
from offramp.train.fit import Fit, Schedule
from offramp.train.rows import Rows
from tests.toys import live
from tests.train.caches import CLASSES, KEYS, WIDTH, cache

CASCADED = HeadType(Global(), hidden=(16,), cascade=True)


def said(samples: int, exits: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that get better, none of which knows all, and the class they are about."""
    generator = np.random.default_rng(seed)
    target = generator.integers(0, CLASSES, samples)
    signal = np.eye(CLASSES)[target] * np.linspace(1.0, 2.0, exits)[:, None, None]
    return signal + generator.normal(size=(exits, samples, CLASSES)), target


def log_p(logits: np.ndarray) -> np.ndarray:
    total: np.ndarray = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    return total


def price(values: np.ndarray, logits: np.ndarray, target: np.ndarray) -> float:
    """What is minimised, from its definition: probabilities as normalised products of powers."""
    exits, samples, _ = logits.shape
    weight, bias = values[:exits], values[exits:]
    product = np.exp(bias) * np.prod(np.exp(log_p(logits)) ** weight[:, None, None], axis=0)
    likely = (product / product.sum(axis=1, keepdims=True))[np.arange(samples), target]
    start = np.append(np.zeros(exits - 1), 1.0 / Temperature().fit(logits[-1], target).temperature)
    away = float(((weight - start) ** 2).sum() + (bias**2).sum())
    return float(-np.log(likely).mean() + PENALTY / (2 * samples) * away)


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_optimum_that_another_method_finds(seed: int) -> None:
    """Against SLSQP without gradients; in the first case the first weight is held at zero by its bound."""
    logits, target = said(150, seed=seed)
    if seed == 0:
        logits[0] = -logits[0]  # who trusts it least is right
    found = np.concatenate(geometric(logits, target))
    exits = len(logits)
    other = minimize(
        price,
        np.append(np.full(exits, 0.5), np.zeros(CLASSES)),
        (logits, target),
        method="SLSQP",
        bounds=[(0.0, None)] * exits + [(None, None)] * CLASSES,
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert price(found, logits, target) <= other.fun + 1e-7
    np.testing.assert_allclose(found, other.x, atol=5e-3)
    assert (found[0] == 0.0) == (seed == 0)


def test_independent_witnesses_are_multiplied() -> None:
    """With noise that is independent the right answer is the product of the likelihoods, each to the power of one."""
    samples, strength = 60_000, np.array([1.0, 1.5])
    generator = np.random.default_rng(3)
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    target = generator.choice(CLASSES, samples, p=prior)
    heard = np.eye(CLASSES)[target] * strength[:, None, None] + generator.normal(size=(2, samples, CLASSES))
    likelihood = heard * strength[:, None, None]  # of unit normals, but for what classes share
    weight, bias = geometric(likelihood, target)
    np.testing.assert_allclose(weight, 1.0, atol=0.05)
    np.testing.assert_allclose(bias - bias.mean(), np.log(prior) - np.log(prior).mean(), atol=0.05)


def test_the_target_is_never_less_likely_than_with_the_temperature_alone() -> None:
    for seed in range(5):
        logits, target = said(40, seed=seed)
        weight, bias = geometric(logits, target)
        mixed = np.tensordot(weight, log_p(logits), axes=1) + bias
        alone = logits[-1] / Temperature().fit(logits[-1], target).temperature
        assert negative_log_likelihood(mixed, target) <= negative_log_likelihood(alone, target) + 1e-9


def test_an_exit_that_is_always_right_keeps_finite_weights() -> None:
    target = np.arange(40) % CLASSES
    weight, bias = geometric(np.stack([np.eye(CLASSES)[target] * 9.0] * 2), target)
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()


def test_targets_that_are_no_classes_are_refused() -> None:
    logits, target = said(20)
    with pytest.raises(DataError, match="at least one target in"):
        geometric(logits, target + CLASSES)


def hearing() -> tuple[MultiExit, list[tuple[str, str]]]:
    made = headed(live("mlp").backbone, ("ztw",))
    return made, made.keys()


def test_ensembles_are_fitted_to_labels_or_to_what_the_backbone_names() -> None:
    made, keys = hearing()
    generator = np.random.default_rng(0)
    width = [made.head(index).width for index in range(len(keys))]
    classes = made.backbone.classes
    features = {
        key: generator.normal(size=(80, size)).astype(np.float32) for key, size in zip(keys, width, strict=True)
    }
    logits = generator.normal(size=(80, classes)).astype(np.float32)
    given = FeatureCache("choose", 80, features, logits)
    own = [np.asarray(one) for one in made.record(given).outputs[:-1]]
    for labels in (None, generator.integers(0, classes, 80)):
        for _ in range(2):  # the second fit begins as the first did
            fit_ensembles(made, given, Classification(), labels)
        target = logits.argmax(1) if labels is None else labels
        for index in range(len(keys)):
            ensemble = made.head(index).ensemble
            assert ensemble is not None
            weight, bias = geometric(np.stack(own[: index + 1]), target)
            np.testing.assert_allclose(ensemble.weight.numpy(), weight, atol=1e-4)
            np.testing.assert_allclose(ensemble.bias.numpy(), bias, atol=1e-4)
    assert made.record(given).together


def test_heads_learn_behind_the_one_before_which_learns_as_if_alone() -> None:
    rows, one = Rows((cache(300),)), Schedule(epochs=1, batch_size=32, learning_rate=5e-3)
    generator = torch.Generator().manual_seed(0)
    pair = [CASCADED.build((WIDTH,), CLASSES, generator, number=number) for number in range(2)]
    alone = CASCADED.build((WIDTH,), CLASSES, torch.Generator().manual_seed(0))
    assert pair[1].cascade is not None
    before = [weight.detach().clone() for weight in pair[1].cascade.parameters()]
    Fit(pair, KEYS, Distil(), one).run(rows)
    Fit([alone], KEYS[:1], Distil(), one).run(rows)
    torch.testing.assert_close(pair[0].state_dict(), alone.state_dict(), rtol=0, atol=0)
    after = list(pair[1].cascade.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_heads_that_hear_end_with_the_weights_of_one_epoch() -> None:
    """The losses told are those of the heads as they are left, together."""
    rows, schedule = Rows((cache(300),)), Schedule(epochs=12, batch_size=32, learning_rate=2e-2, average=0.0)
    generator = torch.Generator().manual_seed(0)
    pair = [CASCADED.build((WIDTH,), CLASSES, generator, number=number) for number in range(2)]
    told = Fit(pair, KEYS, Distil(), schedule, seed=4).run(rows)
    held = np.random.default_rng(4).permutation(300)[:30]
    total = 0.0
    with torch.no_grad():
        for row in held:
            row_ = np.array([row])
            first = pair[0].predict(rows.features(KEYS[0], row_))
            for logits in (first, pair[1].predict(rows.features(KEYS[1], row_), first.log_softmax(1))):
                total += Distil().loss(logits, rows.logits(row_), None).item() / 2
    assert told == pytest.approx([total / len(held)] * 2, rel=1e-3)
