"""A forecast of toys: what it looks at, what it is held against, and what it refuses."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from offramp.advise.expected import certifiable
from offramp.advise.forecast import Forecast, forecast, probed
from offramp.advise.stage_times import with_loop
from offramp.advise.verdict import BUILD, DONT
from offramp.calibrate.identity import Identity
from offramp.errors import DataError, InputError
from offramp.gates import gate
from offramp.load.arrays import open_array
from offramp.model.augment import Augment
from offramp.model.points import analyse
from offramp.options import Options
from offramp.progress import silent
from offramp.reading import reader
from offramp.run.choice import executor
from offramp.sources import Source
from offramp.tasks import task as task_of
from offramp.testing.models import TEXT
from offramp.types import CostProfile
from tests.builds import RECIPE, images, make
from tests.toys import CNN, attached, logits_of, source, untouched

GRIDS = replace(RECIPE, heads=("grid-mlp",), augment=Augment(copies=0))
WISH = Options(recipe=RECIPE, max_drop=0.1, batch_size=64)


def foreseen(data: Source, toy: Any = CNN, name: str = "classification", **wishes: Any) -> Forecast:
    task, model = task_of(name), toy.model()
    backbone = analyse(model, toy.inputs(2), reader(task))
    options = wishes.pop("options", WISH)
    with untouched(model):
        return forecast(backbone, task, data, options, **{"batch_sizes": (), **wishes})


def test_it_is_within_ten_points_of_what_is_built(tmp_path: Path) -> None:
    built = make(tmp_path / "b", data=images(1500), recipe=GRIDS)
    cost = next(p for p in built.report if p.name == built.point("balanced").name).cost
    found = foreseen(open_array(images(1500), None, None, "x"), options=replace(WISH, recipe=GRIDS))
    assert found.certified is not None
    assert abs(found.certified.cost - cost) < 0.10


def test_it_looks_at_as_many_as_asked_and_never_at_the_report_part() -> None:
    class Noted:
        name = "noted"

        def __init__(self) -> None:
            self.seen: set[int] = set()

        def __len__(self) -> int:
            return 600

        def fingerprint(self) -> str:
            return "noted"

        def inputs(self, indices: np.ndarray) -> torch.Tensor:
            self.seen |= set(indices.tolist())
            return images(600)[indices]

        def labels(self) -> np.ndarray:
            raise AssertionError("labels are not read")

    noted = Noted()
    found = foreseen(noted, samples=250)
    assert found.samples == 250
    assert len(noted.seen) == 250
    assert not noted.seen & set(WISH.shares.divide(600, WISH.seed)["report"].tolist())


def test_probes_are_asked_about_samples_they_have_not_seen() -> None:
    """Of answers drawn at random nothing can be known, though a probe could learn those of its own samples by heart."""

    class Drawn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(300, 300) for _ in range(3)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sin(1e4 * self.layers(x))[:, :4]

    x = torch.randn(300, 300, generator=torch.Generator().manual_seed(3))
    model = attached(Drawn().eval(), x[:2], ("grid-linear",))
    said = probed(model, task_of("classification"), open_array(x, None, None, "x"), WISH, silent)[-1].outputs
    assert (said[:-1].argmax(2) == said[-1].argmax(1)).mean() < 0.4


def test_the_certificate_that_is_expected_is_that_of_the_builds_own_part() -> None:
    data = source(CNN, 900)
    found = foreseen(data)
    assert found.certify == 180
    assert found.rate == certifiable(180, 0.1, 0.1, "ltt")
    assert found.expected is found.certified
    few = foreseen(data, options=Options(recipe=RECIPE, max_drop=0.005, batch_size=64))
    assert few.certified is None
    assert few.expected is few.chosen
    assert "cannot certify 0.5 %" in few.verdict.reasons[-1]


def test_times_are_those_of_the_batch_sizes() -> None:
    found = foreseen(source(CNN, 300), batch_sizes=(1, 4), rounds=3)
    assert set(found.chosen.time) == set(found.chosen.break_even) == {1, 4}
    assert found.backend == "eager"
    assert len(found.points) == len(found.depth) == len(found.agreement) == 3


class Wide(nn.Module):
    """Layers of which the first knows all, or each of which scrambles what it is given."""

    def __init__(self, early: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.deep = nn.Linear(8, 512), nn.Sequential(*(nn.Linear(512, 512) for _ in range(6)))
        self.last, self.early = nn.Linear(512, 2), early

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        for layer in self.deep:
            h = h + 0.01 * torch.tanh(layer(h)) if self.early else torch.sin(20.0 * layer(h))
        answer: torch.Tensor = self.last(h)
        return answer


@pytest.mark.parametrize(("early", "word"), [(True, BUILD), (False, DONT)])
def test_where_the_first_layer_knows_all_it_is_built_and_where_each_scrambles_not(early: bool, word: str) -> None:
    x = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0))
    backbone, task = analyse(Wide(early).eval(), x[:2], reader(task_of("classification"))), task_of("classification")
    options = Options(recipe="heads-only", max_drop=0.05)
    assert forecast(backbone, task, open_array(x, None, None, "x"), options, batch_sizes=()).verdict.word == word


def test_texts_have_forecasts() -> None:
    found = foreseen(source(TEXT, 400), TEXT)
    assert 0.0 < found.chosen.cost <= 1.5
    assert all(0.0 <= share <= 1.0 for share in found.agreement)


def test_clicks_have_forecasts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).eval()
    x = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    task = task_of("ctr")
    backbone = analyse(model, x[:2], reader(task))
    found = forecast(backbone, task, open_array(x, None, None, "x"), Options(task="ctr"), batch_sizes=())
    assert min(found.agreement) > 0.7


def test_what_cannot_be_forecast_is_refused() -> None:
    with pytest.raises(DataError, match=r"expected at least 200 samples for a forecast at 10 %, got 85"):
        foreseen(source(CNN, 100))
    backbone = analyse(CNN.model(), CNN.inputs(2), reader(task_of("classification")))
    with pytest.raises(DataError, match=r"at least 2000 samples for a forecast at 0.1 %, got 300; .* --samples"):
        forecast(backbone, task_of("classification"), source(CNN, 400), replace(WISH, max_drop=0.001), samples=300)
    with pytest.raises(InputError, match=r"expected a task whose answers are classes for a forecast, got regression"):
        forecast(backbone, task_of("regression:0.1"), source(CNN, 400), WISH)


def test_what_the_run_loop_takes_is_added_to_the_heads_and_never_taken_off() -> None:
    model = attached(CNN.model(), CNN.inputs(2), ("grid-linear",))
    scorer, by = gate("max-prob"), tuple(Identity() for _ in model.exits)
    make = partial(executor, model, logits_of, scorer, by)
    batches = [CNN.inputs(4, seed) for seed in range(3)]
    inner = len(model.exits)
    free = CostProfile("s", np.linspace(1e-9, 2e-9, inner + 1), np.zeros(inner + 1), np.zeros(inner + 1), batch_size=4)
    found = with_loop(free, make, model.point_of, batches)
    assert (found.head[:-1] >= 0).all()
    assert found.head[-1] == 0
    assert len(set(found.head[:-1].tolist())) == 1
    dear = replace(free, head=np.append(np.ones(inner), 0.0))
    assert with_loop(dear, make, model.point_of, batches).head.tolist() == dear.head.tolist()
