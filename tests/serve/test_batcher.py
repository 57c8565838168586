import threading
import time
from dataclasses import dataclass

import pytest

from offramp.errors import InputError
from offramp.serve.batcher import Batcher, Batching
from offramp.serve.errors import BusyError


@dataclass(frozen=True)
class Member:
    number: int
    kind: str = "a"


class Runs:
    """Remembers batches, and holds each until it is let go."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.go, self.began = threading.Event(), threading.Event()
        if not held:
            self.go.set()

    def __call__(self, batch: list[Member]) -> None:
        self.batches.append([member.number for member in batch])
        self.began.set()
        assert self.go.wait(10)


def numbers(runs: Runs) -> list[int]:
    return [number for batch in runs.batches for number in batch]


def test_what_comes_while_a_batch_is_running_is_one_batch() -> None:
    runs = Runs(held=True)
    batcher = Batcher[Member](runs, Batching(max_batch_size=4))
    batcher.submit([Member(0)])
    assert runs.began.wait(10)
    batcher.submit([Member(n) for n in range(1, 4)])
    batcher.submit([Member(n) for n in range(4, 7)])
    assert batcher.waiting == 6
    runs.go.set()
    assert batcher.close(10.0)
    assert runs.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_members_of_one_kind_are_together_and_the_oldest_is_first() -> None:
    runs = Runs(held=True)
    batcher = Batcher[Member](runs, Batching(max_batch_size=3))
    batcher.submit([Member(0)])
    assert runs.began.wait(10)
    batcher.submit([Member(1, "b"), Member(2), Member(3, "b"), Member(4), Member(5, "b"), Member(6, "b")])
    runs.go.set()
    assert batcher.close(10.0)
    assert runs.batches == [[0], [1, 3, 5], [2, 4], [6]]


def test_a_delay_waits_for_others_but_no_longer() -> None:
    runs = Runs()
    batcher = Batcher[Member](runs, Batching(max_batch_size=3, max_delay=0.2))
    start = time.monotonic()
    batcher.submit([Member(0)])
    time.sleep(0.02)
    batcher.submit([Member(1)])
    while not runs.batches:
        time.sleep(0.005)
    assert time.monotonic() - start >= 0.2
    assert runs.batches == [[0, 1]]
    batcher.submit([Member(2), Member(3), Member(4)])
    assert batcher.close(10.0)
    assert runs.batches == [[0, 1], [2, 3, 4]]


def test_a_full_queue_and_a_closing_server_take_nothing() -> None:
    runs = Runs(held=True)
    batcher = Batcher[Member](runs, Batching(max_batch_size=1, max_queue=2))
    batcher.submit([Member(0)])
    assert runs.began.wait(10)
    batcher.submit([Member(1)])
    with pytest.raises(BusyError, match="queue of 2"):
        batcher.submit([Member(2), Member(3)])
    batcher.submit([Member(4)])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while not batcher._closing:
        time.sleep(0.001)
    with pytest.raises(BusyError, match="going down"):
        batcher.submit([Member(5)])
    runs.go.set()
    closing.join(10)
    assert numbers(runs) == [0, 1, 4]


def test_many_threads_lose_and_double_nothing() -> None:
    runs = Runs()
    batcher = Batcher[Member](runs, Batching(max_batch_size=7, max_queue=10**6))

    def hammer(first: int) -> None:
        for number in range(first, first + 500):
            batcher.submit([Member(number, "ab"[number % 2])])

    threads = [threading.Thread(target=hammer, args=(500 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert batcher.close(10.0)
    assert sorted(numbers(runs)) == list(range(2000))
    assert max(map(len, runs.batches)) <= 7


@pytest.mark.parametrize(
    "wrong", [{"max_batch_size": 0}, {"max_queue": 0}, {"max_delay": -1.0}, {"max_delay": float("inf")}]
)
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="at least"):
        Batcher[Member](Runs(), Batching(**wrong))  # type: ignore[arg-type]
