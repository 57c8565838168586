import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError, InputError
from offramp.heads.head import Head
from offramp.train.disjoint import Disjoint
from offramp.train.distil import Distil
from offramp.train.fit import Fit, Schedule
from offramp.train.regime import Regime
from offramp.train.rows import Rows
from tests.train.caches import CLASSES, KEYS, cache, heads, labels_of

SHORT = Schedule(epochs=6, batch_size=32, learning_rate=5e-3)


def weights(trained: list[Head]) -> list[dict[str, torch.Tensor]]:
    return [head.state_dict() for head in trained]


def held_rows(samples: int, seed: int, share: float = 0.1) -> np.ndarray:
    """The samples early stopping looks at, as the docstring has it: a share of them, drawn from the seed."""
    return np.random.default_rng(seed).permutation(samples)[: round(share * samples)]


def loss_of(head: Head, key: tuple[str, str], rows: Rows, which: np.ndarray, regime: Regime) -> float:
    """The mean loss one sample at a time."""
    total = 0.0
    with torch.no_grad():
        for row in which:
            one = np.array([row])
            total += regime.loss(head.predict(rows.features(key, one)), rows.logits(one), None).item()
    return total / len(which)


class Stopped(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("after", [1, 2, 5, 6])
def test_an_interrupted_fit_ends_with_the_same_heads(after: int, tmp_path: Path) -> None:
    rows = Rows((cache(copies=1), cache(40, seed=5)))
    straight, broken, resumed = heads(), heads(), heads()
    expected = Fit(straight, KEYS, Distil(), SHORT, seed=3).run(rows)

    def stop(_stage: str, done: int, _total: int) -> None:
        if done == after:
            raise Stopped

    path = tmp_path / "fit.checkpoint"
    with pytest.raises(Stopped):
        Fit(broken, KEYS, Distil(), SHORT, seed=3, checkpoint=path).run(rows, progress=stop)
    epochs: list[int] = []
    found = Fit(resumed, KEYS, Distil(), SHORT, seed=3, checkpoint=path).run(
        rows, progress=lambda _stage, done, _total: epochs.append(done)
    )
    assert found == expected
    assert epochs == list(range(after + 1, 7))
    torch.testing.assert_close(weights(resumed), weights(straight), rtol=0, atol=0)


def test_a_fit_is_decided_by_its_seed_and_leaves_torchs_own_state_alone() -> None:
    rows, before = Rows((cache(),)), torch.get_rng_state()
    one, two, other = heads(), heads(), heads()
    Fit(one, KEYS, Distil(), SHORT, seed=1).run(rows)
    torch.rand(5)  # whatever the user draws in between
    Fit(two, KEYS, Distil(), SHORT, seed=1).run(rows)
    Fit(other, KEYS, Distil(), SHORT, seed=2).run(rows)
    torch.testing.assert_close(weights(one), weights(two), rtol=0, atol=0)
    assert not torch.equal(one[0].net[0].weight, other[0].net[0].weight)  # type: ignore[arg-type]
    torch.set_rng_state(before)
    Fit(heads(), KEYS, Distil(), SHORT).run(rows)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


def test_global_state_is_given_back_after_an_interruption() -> None:
    before = torch.get_rng_state()

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        Fit(heads(), KEYS, Distil(), SHORT).run(Rows((cache(),)), progress=stop)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


def test_heads_learn_what_can_be_learnt() -> None:
    rows, trained, untrained = Rows((cache(400),)), heads(), heads()
    found = Fit(trained, KEYS, Distil(), Schedule(epochs=25, batch_size=32, learning_rate=1e-2, patience=25)).run(rows)
    fresh = Rows((cache(200, seed=8),))
    everything = np.arange(200)
    before = [loss_of(head, key, fresh, everything, Distil()) for head, key in zip(untrained, KEYS, strict=True)]
    after = [loss_of(head, key, fresh, everything, Distil()) for head, key in zip(trained, KEYS, strict=True)]
    assert after[1] < 0.1 * before[1]
    assert after[0] < 0.8 * before[0]
    assert found[1] < found[0]
    answers = trained[1].predict(fresh.features(KEYS[1], everything)).argmax(1)
    assert float((answers == fresh.logits(everything).argmax(1)).float().mean()) > 0.9


def test_each_head_ends_with_its_own_best_weights_and_in_eval_mode() -> None:
    """Far too high a rate: heads get worse again, and the last weights would not do."""
    rows, trained = Rows((cache(),)), heads()
    schedule = Schedule(epochs=12, batch_size=16, learning_rate=0.3, patience=12)
    found = Fit(trained, KEYS, Distil(), schedule, seed=4).run(rows)
    held = held_rows(120, 4)
    for head, key, best in zip(trained, KEYS, found, strict=True):
        assert loss_of(head, key, rows, held, Distil()) == pytest.approx(best, rel=1e-3, abs=1e-4)
    assert not any(module.training for head in trained for module in head.modules())


def test_training_stops_when_no_head_has_been_better_for_a_while() -> None:
    epochs: list[int] = []
    schedule = Schedule(epochs=60, batch_size=16, learning_rate=0.5, patience=3)
    Fit(heads(), KEYS, Distil(), schedule).run(Rows((cache(),)), progress=lambda _s, done, _t: epochs.append(done))
    assert epochs == list(range(1, len(epochs) + 1))
    assert 4 <= len(epochs) < 60


@dataclass(frozen=True)
class Watching:
    """Distillation that notes which of the backbone's outputs it was trained on and which it was stopped by."""

    needs_labels: bool = False
    trained: set[bytes] = field(default_factory=set)
    held: set[bytes] = field(default_factory=set)

    def loss(self, logits: torch.Tensor, backbone: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        (self.trained if torch.is_grad_enabled() else self.held).update(row.numpy().tobytes() for row in backbone)
        return Distil().loss(logits, backbone, labels)


def test_no_copy_of_a_held_sample_is_trained_on() -> None:
    first, more = cache(50, copies=3), cache(20, copies=1, seed=9)
    watching = Watching()
    Fit(heads(), KEYS, watching, Schedule(epochs=8, batch_size=10, patience=8), seed=6).run(Rows((first, more)))
    held = held_rows(50, 6)
    assert watching.held == {first.logits[row].tobytes() for row in held}
    copies = {first.logits[row + 50 * copy].tobytes() for row in held for copy in range(4)}
    assert not watching.trained & copies
    others = {row.tobytes() for row in np.concatenate([first.logits, more.logits])} - copies
    assert watching.trained <= others
    assert len(watching.trained) > 0.9 * len(others)


def test_labels_of_copies_are_those_of_their_sample() -> None:
    made = cache(80, copies=2)
    labels = np.random.default_rng(1).integers(0, CLASSES, 80)

    @dataclass(frozen=True)
    class Checking:
        needs_labels: bool = True

        def loss(self, logits: torch.Tensor, backbone: torch.Tensor, labels_: torch.Tensor | None) -> torch.Tensor:
            assert labels_ is not None
            for row, label in zip(backbone, labels_, strict=True):
                found = np.flatnonzero((made.logits == row.numpy()).all(axis=1))[0]
                assert labels[found % 80] == label
            return Disjoint().loss(logits, backbone, labels_)

    Fit(heads(), KEYS, Checking(), Schedule(epochs=2, batch_size=32)).run(Rows((made,)), labels)


def test_labels_teach_what_the_backbone_does_not_say() -> None:
    made = cache(400)
    turned = (labels_of(made) + 1) % CLASSES
    trained = heads()
    Fit(trained, KEYS, Disjoint(), Schedule(epochs=25, batch_size=32, learning_rate=1e-2, patience=25)).run(
        Rows((made,)), turned
    )
    answers = trained[1].predict(Rows((made,)).features(KEYS[1], np.arange(400))).argmax(1).numpy()
    assert (answers == turned).mean() > 0.9


def test_missing_labels_are_refused() -> None:
    with pytest.raises(DataError, match="expected labels for this regime, got none"):
        Fit(heads(), KEYS, Disjoint(), SHORT).run(Rows((cache(),)))


@pytest.mark.parametrize("samples", [1, 4])
def test_too_few_samples_are_refused(samples: int) -> None:
    with pytest.raises(DataError, match="expected at least 10 training samples"):
        Fit(heads(), KEYS, Distil(), SHORT).run(Rows((cache(samples),)))


def test_divergence_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"training diverged .* lower the learning rate"):
        Fit(heads(), KEYS, Distil(), Schedule(epochs=5, batch_size=16, learning_rate=1e30)).run(Rows((cache(),)))


@given(st.integers(1, 500), st.floats(1e-5, 1.0))
def test_the_rate_rises_to_its_highest_and_falls_to_nothing(steps: int, highest: float) -> None:
    schedule = Schedule(learning_rate=highest)
    rates = [schedule.rate(step, steps) for step in range(steps)]
    assert all(0 < rate <= highest * (1 + 1e-9) for rate in rates)
    top = rates.index(max(rates))
    assert top <= 0.1 * steps + 1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    middle = highest * 0.5 * (1 + math.cos(math.pi * (0.5 - 0.1) / 0.9))
    assert schedule.rate(50, 100) == pytest.approx(middle)
    assert schedule.rate(100, 100) == pytest.approx(0.0, abs=1e-12)
