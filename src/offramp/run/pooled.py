"""Throughput: survivors of several batches go on together, so that every stage runs full batches. Free of torch."""

import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.arrays import Int
from offramp.decide.rule import Memory
from offramp.errors import InputError
from offramp.run.buffers import running
from offramp.run.executor import Executor, Said
from offramp.run.loop import OnResolved, Plan, decide
from offramp.run.stepwise import State, Stepwise


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Some samples before a stage: who they are, when the oldest of them came, and what the rule remembers of them."""

    state: State
    who: Int[np.ndarray, " samples"]
    since: float
    memory: Memory

    def rows(self, executor: Stepwise, rows: Int[np.ndarray, " some"]) -> "_Waiting":
        """Some of them."""
        memory = None if self.memory is None else self.memory[rows]
        return _Waiting(executor.take(self.state, rows), self.who[rows], self.since, memory)


class Pooled:
    """Runs batches stage by stage; before each stage but the first, survivors wait until there are enough.

    A sample waits longer than it would alone, and answers come in another order than questions: for work where only
    the whole counts. Where launching a stage costs much (a GPU with a small model) it saves up to a third, on a
    processor a few percent.

    Attributes:
        plan: the operating point; kept until the end.
        full: samples that a stage runs at once.
        max_wait: seconds that a sample waits for others, all stages together; looked at whenever a batch is added.
    """

    def __init__(
        self,
        plan: Plan,
        on_resolved: OnResolved,
        full: int = 32,
        max_wait: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """An empty pool.

        Args:
            plan: what to run.
            on_resolved: called for every sample with its number, counted over all batches from 0.
            full: samples that a stage runs at once.
            max_wait: seconds.
            clock: tells the time in seconds.

        Raises:
            InputError: if the executor cannot stop between stages.
        """
        if full < 1 or not max_wait >= 0:
            raise InputError(f"expected full batches of at least 1 and a wait of at least 0 s, got {full}, {max_wait}")
        self.plan, self.full, self.max_wait = plan, full, max_wait
        self._on_resolved, self._clock = on_resolved, clock
        self._executor = _stepwise(plan.executor) if plan.stops else None
        self._count = 0
        self._pools: list[dict[Hashable, list[_Waiting]]] = [defaultdict(list) for _ in range(len(plan.stops) + 1)]

    @property
    def waiting(self) -> int:
        """How many samples are under way."""
        return sum(len(some.who) for pools in self._pools for pool in pools.values() for some in pool)

    def add(self, inputs: Any) -> None:
        """Runs a batch as far as it goes, and whoever has waited long enough or fills a batch with it.

        Raises:
            DataError: if the model cannot take the inputs; those who wait are not touched.
        """
        executor, samples = self._executor, self.plan.executor.samples(inputs)
        who = self._count + np.arange(samples)
        with running():
            if executor is None:
                said = self.plan.executor.whole(inputs)
                self._count += samples
                self._resolve(who, said, len(self.plan.configuration.enabled))
                return
            start = _Waiting(executor.start(inputs), who, self._clock(), self.plan.rule.start(samples))
            self._count += samples
            self._advance(executor, 0, start)
            for place in range(len(self._pools) - 1, 0, -1):  # from behind, so that what comes on does not run twice
                for kind in list(self._pools[place]):
                    self._run_full(executor, place, kind)
            self._run_overdue(executor)

    def flush(self) -> None:
        """Runs all who wait to their end."""
        if self._executor is None:
            return
        with running():
            for place in range(1, len(self._pools)):
                for kind in list(self._pools[place]):
                    self._run_all(self._executor, place, kind)

    def _run_full(self, executor: Stepwise, place: int, kind: Hashable) -> None:
        while sum(len(some.who) for some in self._pools[place][kind]) >= self.full:
            everyone = _joined(executor, self._pools[place].pop(kind))
            rows = np.arange(len(everyone.who))
            if len(rows) > self.full:
                self._pools[place][kind].append(everyone.rows(executor, rows[self.full :]))
                everyone = everyone.rows(executor, rows[: self.full])
            self._advance(executor, place, everyone)

    def _run_overdue(self, executor: Stepwise) -> None:
        """Deeper pools come later, so that whoever is overdue goes through to the end."""
        latest = self._clock() - self.max_wait
        for place in range(1, len(self._pools)):
            for kind in list(self._pools[place]):
                if any(some.since <= latest for some in self._pools[place][kind]):
                    self._run_all(executor, place, kind)

    def _run_all(self, executor: Stepwise, place: int, kind: Hashable) -> None:
        pool = self._pools[place].pop(kind, [])
        if pool:
            self._advance(executor, place, _joined(executor, pool))

    def _advance(self, executor: Stepwise, place: int, some: _Waiting) -> None:
        """Runs stage `place`; who stays waits before the next one."""
        last = len(self.plan.stops)
        if place == last:
            self._resolve(some.who, executor.end(some.state), len(self.plan.configuration.enabled))
            return
        state, say = executor.advance(place, some.state)
        left, rows, memory = decide(self.plan, place, say, some.memory)
        rows = np.arange(len(some.who)) if rows is None else rows
        if len(rows):
            stay = executor.take(state, rows)
            self._pools[place + 1][executor.kind(stay)].append(_Waiting(stay, some.who[rows], some.since, memory))
        for gone in left:
            self._resolve(some.who[gone.rows], gone.said, gone.exit_index)

    def _resolve(self, who: Int[np.ndarray, " some"], said: Said, exit_index: int) -> None:
        for number, answer, score in zip(who.tolist(), said.logits, said.score.tolist(), strict=True):
            self._on_resolved(number, answer, exit_index, score)


def _stepwise(executor: Executor) -> Stepwise:
    if not isinstance(executor, Stepwise):
        raise InputError(
            f"expected a model that is run stage by stage for throughput, got {type(executor).__name__}; use latency"
        )
    return executor


def _joined(executor: Stepwise, pool: list[_Waiting]) -> _Waiting:
    if len(pool) == 1:
        return pool[0]
    state = executor.join([some.state for some in pool])
    who, since = np.concatenate([some.who for some in pool]), min(some.since for some in pool)
    memories = [some.memory for some in pool if some.memory is not None]
    return _Waiting(state, who, since, np.concatenate(memories) if memories else None)
