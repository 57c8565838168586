import numpy as np
import pytest

from offramp.confidence import Said
from offramp.examples import examples, margins
from offramp.load.sources import open_source
from offramp.looking import Look
from offramp.types import Configuration
from tests.builds import bundle, images


@pytest.fixture(scope="module")
def said() -> Said:
    look = Look.at(bundle(), open_source(images(400, 5)))
    return look.said(np.arange(400))


@pytest.fixture(scope="module")
def point(said: Said) -> Configuration:
    """Thresholds at which some leave at every exit."""
    thresholds = [float(np.quantile(row, 0.6)) for row in said.table.score[:-1]]
    return Configuration((True,) * len(thresholds), tuple(thresholds))


def test_each_is_shown_where_it_left_by_what_it_had_to_spare(said: Said, point: Configuration) -> None:
    found, left = examples(said, point, 3), said.exit_index(point)
    for exit_ in range(said.table.exits):
        here = np.flatnonzero(left == exit_)
        assert len(here) >= 6
        score = said.table.score[exit_, here] if exit_ < said.table.exits - 1 else _nearest(said, point)[here]
        order = here[np.argsort(-score, kind="stable")].tolist()
        assert [one.row for one in found.easy[exit_]] == order[:3]
        assert [one.row for one in found.hard[exit_]] == order[-3:][::-1]
        assert all(one.exit_index == exit_ for one in (*found.easy[exit_], *found.hard[exit_]))


def _nearest(said: Said, point: Configuration) -> np.ndarray:
    found: np.ndarray = np.max(said.table.score[:-1] - np.array(point.threshold)[:, None], axis=0)
    return found


def test_the_wrong_ones_left_early_and_are_not_answered_as_the_model_does(said: Said) -> None:
    inner = said.table.exits - 1
    at_once = Configuration((True, *[False] * (inner - 1)), (0.0,) * inner)
    wrong = examples(said, at_once, 5).wrong
    disagree = np.flatnonzero(said.table.loss[0] > 0)
    assert len(wrong) == min(5, len(disagree))
    assert {one.row for one in wrong} <= set(disagree.tolist())
    assert all(one.answer != one.reference and one.differs == 1 and one.label is None for one in wrong)
    assert [one.margin for one in wrong] == sorted((one.margin for one in wrong), reverse=True)


def test_no_sample_is_both_easy_and_hard(said: Said, point: Configuration) -> None:
    found = examples(said, point, 200)
    for easy, hard in zip(found.easy, found.hard, strict=True):
        assert not {one.row for one in easy} & {one.row for one in hard}
    assert sum(len(some) for some in (*found.easy, *found.hard)) == said.table.samples


def test_where_nobody_may_leave_there_is_no_margin(said: Said) -> None:
    full = Configuration.full(said.table.exits - 1)
    assert np.isnan(margins(said.table, full, said.exit_index(full))).all()
    found = examples(said, full, 2)
    assert [len(some) for some in found.easy] == [0] * (said.table.exits - 1) + [2]
    assert found.wrong == ()
