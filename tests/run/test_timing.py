import time

import pytest
import torch

from offramp.inputs import Inputs
from offramp.run.timing import WARM_UP, Timing, interleaved


def test_all_contestants_run_every_batch_in_turn_after_a_warm_up() -> None:
    order: list[tuple[str, int]] = []

    def contestant(name: str) -> object:
        def run(inputs: Inputs) -> None:
            assert isinstance(inputs, torch.Tensor)
            order.append((name, int(inputs[0])))

        return run

    rounds = [[torch.tensor([10 * r + b]) for b in range(2)] for r in range(3)]
    timing = interleaved({"a": contestant("a"), "b": contestant("b")}, rounds)  # type: ignore[dict-item]
    warm = [(name, 10 * r) for r in range(WARM_UP) for name in "ab"]
    turns = ["ab", "ba", "ab"]  # each round begins with another one
    assert order == warm + [(name, 10 * r + b) for r in range(3) for name in turns[r] for b in range(2)]
    assert all([len(round_) for round_ in timing.batches[name]] == [2, 2, 2] for name in "ab")


def test_a_slower_contestant_takes_longer() -> None:
    naps = {"short": lambda _: time.sleep(0.002), "long": lambda _: time.sleep(0.008)}
    timing = interleaved(naps, [[torch.zeros(1)]] * 5)
    assert timing.ratio("long", "short") > 1.5


def test_the_ratio_is_of_medians() -> None:
    timing = Timing({"a": ((1.0,), (1.5, 0.5), (90.0,)), "b": ((4.0,), (4.0,), (4.0,))})
    assert timing.seconds("a").tolist() == [1.0, 2.0, 90.0]
    assert timing.ratio("a", "b") == pytest.approx(0.5)
    assert timing.quantile("a", 0.5) == pytest.approx(1.25)
    assert timing.quantile("b", 0.99) == pytest.approx(4.0)
