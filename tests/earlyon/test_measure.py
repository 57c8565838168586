"""What is measured of contestants, and the page made of it; earlyon need not be there."""

import importlib.util
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.earlyon import __main__ as command
from benchmarks.earlyon.contestants import OFFRAMP, PLAIN, ROUTER, Answers, Contestant
from benchmarks.earlyon.measure import decisions, measured, rounds_of, rows_of
from benchmarks.earlyon.page import page

from offramp.load.arrays import open_array

BATCH = 4


def contestant(who: str, exit_index: int, nap: float, point: str = "p", label: int = 0) -> Contestant:
    def read(returned: torch.Tensor) -> Answers:
        rows = len(returned)
        classes = returned[:, 0].numpy().astype(int) + label
        return Answers(np.full(rows, exit_index), classes, np.full(rows, 0.5))

    def run(batch: torch.Tensor) -> torch.Tensor:
        time.sleep(nap)
        return batch

    return Contestant(who, "eager", point, run, read)


def some(exit_of_earlyon: int = 0, label: int = 0) -> list[Contestant]:
    return [
        contestant(PLAIN, 2, 0.004, PLAIN),
        contestant(OFFRAMP, 0, 0.002),
        contestant(ROUTER, exit_of_earlyon, 0.002, label=label),
    ]


def rounds(count: int = 5, batches: int = 2) -> list[list[torch.Tensor]]:
    source = open_array(torch.arange(20.0)[:, None], None, None, "numbers")
    return rounds_of(source, np.arange(3, 20), BATCH, count, batches)


def test_a_row_comes_again_only_when_all_full_batches_were_drawn() -> None:
    drawn = torch.cat([batch for round_ in rounds(4) for batch in round_]).flatten().int().tolist()
    assert [len(r) for r in rounds(4)] == [2] * 4
    first, second = drawn[:16], drawn[16:]
    assert len(set(first)) == len(set(second)) == 16
    assert first != second
    assert set(drawn) <= set(range(3, 20))


def test_what_is_read_is_of_the_timed_batches_alone() -> None:
    given = rounds()
    timing, found = measured(some(), given, warm_up=2)
    expected = torch.cat([batch for round_ in given for batch in round_]).flatten().int().tolist()
    assert all(one.answers.classes.tolist() == expected for one in found)
    assert all(len(one.seconds) == 10 for one in found)
    for one in found:
        spent = sum(timing.seconds(one.contestant.name))
        assert 0 < one.seconds.sum() <= spent


def test_a_row_says_who_left_where_and_how_fast() -> None:
    timing, found = measured(some(label=1), rounds(), warm_up=1)
    plain, mine, its = rows_of(timing, found, 2, exits=2)
    assert plain["left"] == [0.0, 0.0, 1.0]
    assert plain["to_plain_eager"] == plain["to_plain_here"] == 1.0
    assert plain["unlike_offramp_eager"] is None
    assert mine["left"] == [1.0, 0.0, 0.0]
    assert (mine["agreement"], mine["unlike_offramp_eager"]) == (1.0, 0)
    assert (its["agreement"], its["unlike_offramp_eager"]) == (0.0, 40)
    assert mine["to_plain_eager"] == pytest.approx(timing.ratio(found[1].contestant.name, found[0].contestant.name))
    assert 2.0 <= mine["p50"] <= mine["p95"] <= mine["p99"]


def test_decisions_that_differ_end_the_benchmark() -> None:
    _, found = measured(some(), rounds(), warm_up=1)
    assert decisions(found) == {"p": {"samples": 40, "different": 0, "largest_score_difference": 0.0}}
    for other in (some(exit_of_earlyon=1), some(label=1)):
        _, found = measured(other, rounds(), warm_up=1)
        with pytest.raises(AssertionError, match="got 40 others"):
            decisions(found)


def test_the_page_has_every_contestant_and_where_samples_left() -> None:
    timing, found = measured(some(exit_of_earlyon=1), rounds(), warm_up=1)
    rows = rows_of(timing, found, 2, exits=2)
    for row, ratio, noise in zip(rows, (1.0, 0.5, 0.75), (0.0, 0.01, 0.02), strict=True):
        row.update(ms=4.0, p50=3.0, p95=4.25, p99=1234.5)
        row.update(to_plain_eager=ratio, to_plain_here=ratio, to_plain_eager_noise=noise, to_plain_here_noise=noise)
    versions = dict.fromkeys(("torch", "onnxruntime", "openvino", "earlyon"), "1.0")
    same = {"samples": 40, "different": 0, "largest_score_difference": 0.0}
    result: dict[str, Any] = {
        "config": {"protocol": "b", "seed": 0, "points": ["p"], "sizes": {"4": {"rounds": 5, "batches": 2}}},
        "machine": {"processor": "a processor", "threads": 1, **versions},
        "samples": 17,
        "exits": ["a", "b"],
        "same_decisions_at_batch_1": {"p": same},
        "rows": {"4": rows},
    }
    text = page(result)
    assert "| plain | plain | eager | 4 | 3 | 4.25 | 1234 | 100 % | 100 % | 100.0 % |  |" in text
    assert "| p | offramp | eager | 4 | 3 | 4.25 | 1234 | 50 % ± 1 | 50 % ± 1 | 100.0 % | 0 |" in text
    assert "| p | earlyon, one at a time | eager | 4 | 3 | 4.25 | 1234 | 75 % ± 2 | 75 % ± 2 | 100.0 % | 40 |" in text
    assert "| p | offramp (eager) | 100.0 % | 0.0 % | 0.0 % |" in text
    assert "| p | earlyon, one at a time (eager) | 0.0 % | 100.0 % | 0.0 % |" in text
    assert "all 40 samples at `p`. The largest difference between two scores was 0." in text
    assert "10 batches in 5 rounds (40 samples)" in text


def test_without_earlyon_nothing_is_done_and_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr("benchmarks.earlyon.peer.find_spec", lambda name: None if name == "earlyon" else find(name))
    monkeypatch.setattr(sys, "argv", ["earlyon", "no-such-file.json"])
    command.main()
    assert "skipped: expected the package earlyon" in capsys.readouterr().out
