"""A stage by itself says the same to groups together as to each alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offramp.decide.rule import Direct
from offramp.errors import BundleError, DataError
from offramp.run.apart import Apart
from offramp.run.executor import Said
from offramp.run.group import Failed, Group, Told, joined
from offramp.run.mixed import NOT_ASKED
from offramp.run.onnx_runtime import OnnxRuntime
from offramp.run.routing import StageFile
from tests.builds import images
from tests.serve.apart import seen, stages


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Apart:
    return seen(stages(tmp_path_factory.mktemp("apart") / "toy")).ready(0)


def group(samples: int, seed: int, threshold: float = 0.5) -> Group:
    rng = np.random.default_rng(seed)
    limits = np.full((6, samples), NOT_ASKED)
    limits[0] = threshold
    return Group(
        (images(samples, seed).numpy(),),
        limits,
        np.full(samples, 6),
        np.full(samples, np.inf),
        rng.random(samples) < 0.3,
        rng.random(samples) < 0.3,
        None,
    )


def test_groups_are_told_together_what_each_is_told_alone(stage: Apart) -> None:
    groups = [group(size, size, threshold) for size, threshold in ((5, 0.3), (1, 0.9), (12, 0.4), (3, 0.0))]
    together = stage.answers(groups)
    for one, told in zip(groups, together, strict=True):
        alone = stage.answers([one])[0]
        assert isinstance(told, Told)
        assert isinstance(alone, Told)
        np.testing.assert_array_equal(told.rows, alone.rows)
        assert len(told.heard) == len(alone.heard)
        for heard, expected in zip(told.heard, alone.heard, strict=True):
            np.testing.assert_array_equal(heard.who, expected.who)
            np.testing.assert_array_equal(heard.leaving, expected.leaving)
            np.testing.assert_allclose(heard.said.logits, expected.said.logits, rtol=1e-4, atol=1e-5)
        if told.group is not None and alone.group is not None:
            np.testing.assert_array_equal(told.group.threshold, alone.group.threshold)
            np.testing.assert_allclose(told.group.state[0], alone.group.state[0], rtol=1e-4, atol=1e-5)
    assert any(isinstance(told, Told) and told.group is None for told in together) or len(together) == 4


def test_who_is_answered_and_goes_on_is_asked_no_more(stage: Apart) -> None:
    told = stage.run(group(20, 3, 0.0))
    assert told.group is not None
    assert told.heard[0].leaving.all()
    assert len(told.heard[0].who) == 20
    np.testing.assert_array_equal(told.group.onwards, np.ones(told.group.samples, bool))
    assert (told.group.threshold == NOT_ASKED).all()


def test_what_arrives_is_not_written_to(stage: Apart) -> None:
    one = group(6, 4, 0.4)
    for array in (one.threshold, *one.state):
        array.flags.writeable = False
    stage.run(one)


class Picky(OnnxRuntime):
    """A last stage that cannot take sevens."""

    def __init__(self) -> None:
        super().__init__(Path(), (), StageFile("", (), (), (1,), (), ()), 1)

    def load(self, stage: StageFile) -> Any:
        return None

    def end(self, state: Any) -> Said:
        if (state[0] == 7).any():
            raise DataError("no sevens")
        return Said(state[0], state[0].sum(1))


def test_a_group_that_fails_harms_no_other_and_shapes_are_not_mixed() -> None:
    def plain(value: float, samples: int, width: int) -> Group:
        ones = np.ones(samples)
        return Group(
            (np.full((samples, width), value, np.float32),),
            np.full((1, samples), NOT_ASKED),
            np.ones(samples, np.int64),
            ones * np.inf,
            ones < 0,
            ones < 0,
            None,
        )

    picky = Apart(Picky(), (1,), Direct(), last=True)
    found = picky.answers([plain(1, 2, 3), plain(7, 2, 3), plain(2, 4, 5), plain(3, 1, 3)])
    assert found[1] == Failed("no sevens", unfit=True)
    for index, (value, samples, width) in {0: (1, 2, 3), 2: (2, 4, 5), 3: (3, 1, 3)}.items():
        told = found[index]
        assert isinstance(told, Told)
        np.testing.assert_array_equal(told.heard[0].said.logits, np.full((samples, width), value))
        assert told.heard[0].exit_index == 1


def test_joined_groups_are_taken_apart_again() -> None:
    several = [group(size, size) for size in (2, 3, 4)]
    together = joined(several)
    first = 0
    for one in several:
        found = together.rows(np.arange(first, first + one.samples))
        for name in ("threshold", "last", "until", "anytime", "onwards"):
            np.testing.assert_array_equal(getattr(found, name), getattr(one, name))
        np.testing.assert_array_equal(found.state[0], one.state[0])
        first += one.samples


def test_a_folder_with_other_stages_is_refused(tmp_path: Path) -> None:
    folder = seen(stages(tmp_path / "toy"))
    with (tmp_path / "toy" / folder.stages[0].file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(BundleError, match="expected the stages"):
        folder.ready(0)
