"""Samples of different requests in one batch answer as each would with its own operating point."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offramp.decide.rule import rule
from offramp.gates import gate
from offramp.inputs import select
from offramp.run.choice import executor
from offramp.run.loop import Plan, run, stops_of
from offramp.run.mixed import NOT_ASKED, Heard, Mixed, column
from offramp.types import Configuration
from tests.toys import NAMES, calibrators_of, live, logits_of

SAMPLES = 9
NEAR = 1e-4
NEVER = np.full(SAMPLES, 10**6)


def mixed_of(name: str, scorer: str) -> tuple[Mixed, Any]:
    model, by = live(name), gate(scorer)
    enabled = (True,) * len(model.exits)
    made = executor(model, logits_of, by, calibrators_of(name), enabled)
    return Mixed(made, stops_of(enabled, model.point_of), rule(by.rule), len(enabled)), by


class Ears:
    """Hears all that is said; audits and cancels as told."""

    def __init__(self, audited: set[int] = frozenset(), unwanted: set[int] = frozenset(), hurried: Any = ()) -> None:  # type: ignore[assignment]
        self.said: list[tuple[int, int, np.ndarray, float, bool]] = []
        self.audited, self.unwanted, self.in_haste = audited, unwanted, set(hurried)
        self.answered: dict[int, tuple[int, np.ndarray, float]] = {}
        self.at_end: dict[int, np.ndarray] = {}
        self.forced: set[int] = set()

    def heard(self, one: Heard) -> Any:
        on, said, leaving, exit_index = [], one.said, one.leaving, one.exit_index
        for at, position in enumerate(one.who.tolist()):
            self.said.append((position, exit_index, said.logits[at].copy(), float(said.score[at]), bool(leaving[at])))
            self.forced.update({position} if one.forced[at] else ())
            if position in self.answered:
                assert position in self.audited
                self.at_end[position] = said.logits[at].copy()
                on.append(False)
            elif leaving[at]:
                self.answered[position] = (exit_index, said.logits[at].copy(), float(said.score[at]))
                on.append(position in self.audited)
            else:
                on.append(position not in self.unwanted)
        return np.array(on, bool)

    def hurried(self, who: Any) -> Any:
        return np.array([position in self.in_haste for position in who.tolist()], bool)


@pytest.mark.parametrize("scorer", ["max-prob", "patience"])
@pytest.mark.parametrize("name", ["cnn", "text", "clicks"])
@settings(deadline=None, max_examples=15)
@given(data=st.data(), seed=st.integers(0, 30))
def test_each_sample_answers_as_in_a_batch_of_its_own_operating_point(
    name: str, scorer: str, data: st.DataObject, seed: int
) -> None:
    mixed, by = mixed_of(name, scorer)
    model, inputs = live(name), NAMES[name].inputs(SAMPLES, seed)
    wishes = []
    for _ in range(SAMPLES):
        enabled = tuple(data.draw(st.lists(st.booleans(), min_size=mixed.exits, max_size=mixed.exits)))
        limit = data.draw(
            st.sampled_from([0.0, 0.35, 0.5, 0.8]) if scorer == "max-prob" else st.sampled_from([0.0, 1.0])
        )
        wishes.append(Configuration(enabled, (limit,) * mixed.exits))
    ears = Ears()
    columns = np.stack([column(one.enabled, one.threshold) for one in wishes], axis=1)
    mixed.run(inputs, columns, NEVER, ears)
    assert not ears.forced
    assert sorted(ears.answered) == list(range(SAMPLES))
    for position, wish in enumerate(wishes):
        alone = executor(model, logits_of, by, calibrators_of(name), wish.enabled)
        plan = Plan(wish, stops_of(wish.enabled, model.point_of), alone, rule(by.rule))
        expected = run(plan, select(inputs, torch.tensor([position])))
        index, logits, score = ears.answered[position]
        if scorer == "max-prob" and any(
            abs(s - wish.threshold[0]) < NEAR for p, _, _, s, _ in ears.said if p == position
        ):
            continue
        assert index == expected.exit_index[0]
        np.testing.assert_allclose(logits, expected.output[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(score, expected.score[0], rtol=1e-3, atol=1e-4)


def test_audited_samples_are_answered_once_and_heard_once_more_at_the_end() -> None:
    mixed, _ = mixed_of("cnn", "max-prob")
    inputs, ears = NAMES["cnn"].inputs(SAMPLES), Ears(audited={1, 4})
    mixed.run(inputs, np.full((mixed.exits, SAMPLES), -1.0), NEVER, ears)
    assert {index for index, _, _ in ears.answered.values()} == {0}
    assert sorted(ears.at_end) == [1, 4]
    whole = mixed.executor.whole(inputs).logits
    for position, logits in ears.at_end.items():
        np.testing.assert_allclose(logits, whole[position], rtol=1e-4, atol=1e-5)
    assert len(ears.said) == SAMPLES + 2


def test_who_is_in_haste_leaves_at_the_next_exit_and_who_is_not_wanted_is_not_heard_again() -> None:
    mixed, _ = mixed_of("cnn", "max-prob")
    ears = Ears(unwanted={0}, hurried=[3])
    mixed.run(NAMES["cnn"].inputs(SAMPLES), np.full((mixed.exits, SAMPLES), 2.0), NEVER, ears)
    assert ears.answered[3][0] == 0
    assert [index for position, index, *_ in ears.said if position == 0] == [0]
    assert {ears.answered[position][0] for position in range(SAMPLES) if position not in (0, 3)} == {mixed.exits}
    assert ears.forced == {3}


def test_a_sample_leaves_at_its_last_exit_and_is_forced_only_where_its_score_is_too_low() -> None:
    mixed, _ = mixed_of("cnn", "max-prob")
    last, columns = NEVER.copy(), np.full((mixed.exits, SAMPLES), 2.0)
    last[[2, 5]], columns[1, 5] = 1, -1.0
    ears = Ears()
    mixed.run(NAMES["cnn"].inputs(SAMPLES), columns, last, ears)
    assert [ears.answered[position][0] for position in (2, 5)] == [1, 1]
    assert ears.forced == {2}


def test_nobody_asked_is_the_backbone_bit_for_bit() -> None:
    mixed, _ = mixed_of("cnn", "max-prob")
    inputs, ears = NAMES["cnn"].inputs(SAMPLES), Ears()
    mixed.run(inputs, np.full((mixed.exits, SAMPLES), NOT_ASKED), NEVER, ears)
    whole = mixed.executor.whole(inputs).logits
    for position, (index, logits, _) in ears.answered.items():
        assert index == mixed.exits
        np.testing.assert_array_equal(logits, whole[position])
