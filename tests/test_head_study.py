import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from offramp.errors import InputError
from offramp.head_study import Study
from offramp.head_trial import Judged, Trials
from tests.builds import RECIPE
from tests.trials import SEARCH, trials

COUNT = SEARCH.trials


class Counting(Trials):
    """Notes what is trained; interrupted at the given one."""

    trained: list[str] = []  # noqa: RUF012
    interrupted_at = -1

    def judged(self, head: str) -> Judged:
        if len(self.trained) == type(self).interrupted_at:
            type(self).interrupted_at = -1
            raise KeyboardInterrupt
        self.trained.append(head)
        return super().judged(head)


@pytest.fixture
def counting() -> Counting:
    Counting.trained, Counting.interrupted_at = [], -1
    made = trials()
    return Counting(**{name: getattr(made, name) for name in made.__dataclass_fields__})


def history(study: Study) -> list[tuple[str, Any, Any]]:
    return [
        (t.user_attrs["head"], t.value, t.params)
        for t in study.study.trials
        if t.state.is_finished() and t.state != optuna.trial.TrialState.FAIL
    ]


def run(study: Study, count: int = COUNT) -> Study:
    while study.finished < count:
        study.next()
    return study


def test_the_recipes_own_heads_come_first_and_nothing_is_trained_twice(counting: Counting, tmp_path: Path) -> None:
    study = run(Study.open(counting, tmp_path / "log", "a"), 25)
    assert tuple(counting.trained[:2]) == RECIPE.heads
    assert len(counting.trained) == len(set(counting.trained)) < 25
    assert study.finished == 25
    ranked = study.ranked()
    assert [one.saving for one in ranked] == sorted((one.saving for one in ranked), reverse=True)
    assert {one.head for one in ranked} == set(counting.trained)


@pytest.mark.parametrize("at", [1, 5])
def test_an_interrupted_search_finds_what_it_would_have_found(counting: Counting, tmp_path: Path, at: int) -> None:
    whole = history(run(Study.open(counting, tmp_path / "whole", "a")))
    Counting.trained, Counting.interrupted_at = [], at
    with pytest.raises(KeyboardInterrupt):
        run(Study.open(counting, tmp_path / "cut", "a"))
    again = run(Study.open(counting, tmp_path / "cut", "a"))
    assert history(again) == whole
    assert len(counting.trained) == len(set(counting.trained))
    assert run(Study.open(counting, tmp_path / "cut", "a"), COUNT).finished == COUNT


def test_more_trials_go_on_from_those_there_are(counting: Counting, tmp_path: Path) -> None:
    run(Study.open(counting, tmp_path / "log", "a"))
    before = list(counting.trained)
    more = run(Study.open(counting, tmp_path / "log", "a"), COUNT + 5)
    assert more.finished == COUNT + 5
    assert counting.trained[: len(before)] == before
    other = Study.open(counting, tmp_path / "log", "b")
    assert other.finished == 0


def test_a_process_that_is_killed_loses_the_trial_under_way(counting: Counting, tmp_path: Path) -> None:
    program = (
        "import os\nfrom pathlib import Path\n"
        "from offramp.head_study import Study\nfrom offramp.head_trial import Trials\n"
        "from tests.trials import trials\n"
        "made, count, real = trials(), [0], Trials.judged\n"
        "def judged(self, head):\n    count[0] += 1\n    return os._exit(9) if count[0] == 5 else real(self, head)\n"
        "Trials.judged = judged\n"
        f"study = Study.open(made, Path({str(tmp_path / 'cut')!r}), 'a')\n"
        "while True:\n    study.next()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], check=False).returncode == 9
    kept = Study.open(counting, tmp_path / "cut", "a")
    assert kept.finished >= 4
    whole = run(Study.open(counting, tmp_path / "whole", "a"))
    assert history(run(kept)) == history(whole)


def test_heads_that_cannot_win_are_not_trained(counting: Counting, tmp_path: Path) -> None:
    study = run(Study.open(counting, tmp_path / "log", "a"), 40)
    pruned = [t.user_attrs["head"] for t in study.study.trials if t.state == optuna.trial.TrialState.PRUNED]
    best = study.ranked()[0].saving
    assert all(counting.at_most(head) <= best for head in pruned)
    cheap = replace(SEARCH, space=replace(SEARCH.space, share=0.02))
    Counting.trained = []
    dear = run(Study.open(replace(counting, search=cheap), tmp_path / "cheap", "a"), 40)
    drawn = [one for one in dear.ranked() if one.head not in RECIPE.heads]
    assert drawn
    assert all(one.macs <= 0.02 for one in drawn)
    left_out = {t.user_attrs["head"] for t in dear.study.trials if t.state == optuna.trial.TrialState.PRUNED}
    assert any(counting.macs(head) > 0.02 for head in left_out)
    assert not left_out & set(counting.trained)


def test_importance_tells_what_matters(counting: Counting, tmp_path: Path) -> None:
    """A journal of made-up savings that hang on what a head looks at, and on nothing else."""
    study = Study.open(counting, tmp_path / "log", "a")
    generator = np.random.default_rng(0)
    for looks in ("global", "grid2", "grid4") * 8:
        head = f"{looks}-fc{generator.integers(8, 64)}"
        attributes = {"head": head, "leaving": 0.5, "agreement": 0.5, "macs": 0.1}
        value = {"global": 0.1, "grid2": 0.2, "grid4": 0.3}[looks]
        study.study.add_trial(optuna.trial.create_trial(value=value, user_attrs=attributes))
    found = study.importance()
    assert sum(found.values()) == pytest.approx(1.0)
    assert max(found, key=lambda name: found[name]) == "looks at"
    assert found["looks at"] > 0.8


@pytest.mark.parametrize(
    "savings", [{"sdn": 0.1}, {"sdn": 0.1, "global": 0.1}, {"global-fc8-fc4": 0.1, "global-fc8-fc5": 0.2}]
)
def test_nothing_matters_where_what_is_described_makes_no_difference(
    counting: Counting, tmp_path: Path, savings: dict[str, float]
) -> None:
    study = Study.open(counting, tmp_path / "log", "a")
    for head, saving in savings.items():
        attributes = {"head": head, "leaving": 0.5, "agreement": 0.5, "macs": 0.1}
        study.study.add_trial(optuna.trial.create_trial(value=saving, user_attrs=attributes))
    assert study.importance() == {}


def test_without_optuna_the_extra_is_named(counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"expected the package optuna for a search for heads.*offramp\[search\]"):
        Study.open(counting, tmp_path / "log", "a")
