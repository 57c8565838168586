"""earlyon with a bundle's heads does what offramp does at batch 1, and what its documentation says in batches."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from benchmarks.earlyon.contestants import BATCHED, OFFRAMP, PLAIN, ROUTER, Answers, Contestant, ours, plain, theirs
from benchmarks.earlyon.peer import INSTALL, wrapped

from offramp.bundle import Bundle
from offramp.errors import InputError
from offramp.reading import reader
from tests.builds import RECIPE, images, make
from tests.toys import untouched

pytestmark = [
    pytest.mark.skipif(find_spec("earlyon") is None, reason=f"earlyon is not installed; run {INSTALL}"),
    pytest.mark.filterwarnings("ignore"),  # those of what it imports
]

EXITS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One head at a point: earlyon has no more at one module."""
    return make(tmp_path_factory.mktemp("earlyon") / "bundle", recipe=replace(RECIPE, heads=("pooled-mlp",)))


@pytest.fixture(scope="module")
def point(built: Bundle) -> str:
    """An operating point at which some samples leave at the first and the last exit, and some stay; one exit is off."""
    some = (p for p in built.points if p.configuration.enabled == (True, False, True))
    return next(p.name for p in some if min(p.exit_share[0], p.exit_share[2], p.exit_share[3]) > 0.1)


@pytest.fixture(scope="module")
def contestants(built: Bundle, point: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contestant]:
    live = built.multi_exit
    assert live is not None
    folder = tmp_path_factory.mktemp("stages")
    some = [
        plain(live.backbone.model, EXITS),
        *ours(built, ["eager"], [point], folder, 1),
        *theirs(built, [point], batched=True),
    ]
    return {one.who: one for one in some}


def answers(one: Contestant, batches: Sequence[torch.Tensor]) -> Answers:
    read = [one.read(one.run(batch)) for batch in batches]
    return Answers(*(np.concatenate([getattr(r, name) for r in read]) for name in ("exit_index", "classes", "score")))


def test_the_router_decides_as_offramp_does(contestants: dict[str, Contestant]) -> None:
    singles = torch.split(images(64, seed=5), 1)
    mine, its = answers(contestants[OFFRAMP], singles), answers(contestants[ROUTER], singles)
    assert len(set(mine.exit_index.tolist())) > 1
    assert its.exit_index.tolist() == mine.exit_index.tolist()
    assert its.classes.tolist() == mine.classes.tolist()
    np.testing.assert_allclose(its.score, mine.score, atol=1e-6)


def test_the_router_takes_a_batch_one_by_one(contestants: dict[str, Contestant]) -> None:
    batch = images(32, seed=6)
    mine, its = answers(contestants[OFFRAMP], [batch]), answers(contestants[ROUTER], [batch])
    assert its.exit_index.tolist() == mine.exit_index.tolist()
    assert its.classes.tolist() == mine.classes.tolist()


def test_a_batch_leaves_where_all_of_it_may(built: Bundle, point: str, contestants: dict[str, Contestant]) -> None:
    live, configuration = built.multi_exit, built.point(point).configuration
    assert live is not None
    batches = [*torch.split(images(24, seed=7), 2), *torch.split(images(8, seed=8), 4)]
    expected = []
    for batch in batches:
        with torch.no_grad():
            outputs = live.outputs(batch, reader(built.task))
        score = torch.stack([c(o) for c, o in zip(built.calibrators, outputs[:-1], strict=True)]).softmax(2).amax(2)
        may = [
            on and bool((said >= threshold).all())
            for on, threshold, said in zip(configuration.enabled, configuration.threshold, score, strict=True)
        ]
        expected += [[*may, True].index(True)] * len(batch)
    found = answers(contestants[BATCHED], batches)
    assert found.exit_index.tolist() == expected
    assert len(set(expected)) > 1


def test_the_plain_model_goes_to_the_end(contestants: dict[str, Contestant]) -> None:
    found = answers(contestants[PLAIN], [images(8)])
    assert found.exit_index.tolist() == [EXITS] * 8


def test_the_backbone_and_the_bundle_are_left_alone(built: Bundle, point: str) -> None:
    live = built.multi_exit
    assert live is not None
    with untouched(live.backbone.model), untouched(live.heads):
        for tensor in wrapped(built, point).state_dict().values():
            tensor.zero_()


def test_a_point_without_exits_is_refused(built: Bundle) -> None:
    with pytest.raises(InputError, match="got the gate max-prob and 0 exits"):
        wrapped(built, "full")
