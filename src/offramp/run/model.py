"""A model with early exits, as a user calls it. Free of torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from offramp.errors import UnknownNameError
from offramp.run.executor import Executor
from offramp.run.loop import OnResolved, Outcome, Plan, run, stops_of
from offramp.run.pooled import Pooled
from offramp.run.tuning import Tuned, tuned, uncut
from offramp.types import Configuration

ExecutorFor = Callable[[tuple[bool, ...]], Executor]
"""The executor for a set of enabled exits, which stops nowhere else."""


class EarlyExitModel:
    """A backbone that is left early; call it with a batch.

    The operating point may be switched from any thread while batches are under way: switching is one assignment of an
    immutable plan, and a batch keeps the plan it started with.
    """

    def __init__(
        self,
        executor_for: ExecutorFor,
        points: Mapping[str, Configuration],
        point_of: Sequence[int],
        active: str,
        convert: Callable[[np.ndarray], Any] = np.asarray,
    ) -> None:
        """The model.

        Args:
            executor_for: makes the executor for a set of enabled exits; called once for each set.
            points: the operating points by name.
            point_of: for each exit, the number of its place.
            active: the operating point to begin with.
            convert: makes of an array what the caller wants.
        """
        made = cache(executor_for)
        self._convert = convert

        def plan(configuration: Configuration) -> Plan:
            enabled = configuration.enabled
            return Plan(configuration, stops_of(enabled, point_of), made(enabled))

        self._uncut_at: Mapping[str, Mapping[int, bool]] = {}
        self._plans = {name: plan(configuration) for name, configuration in points.items()}
        self._active = active, self._plan(active)

    @property
    def active(self) -> str:
        """Name of the operating point that the next batch will use."""
        return self._active[0]

    def use(self, name: str) -> "EarlyExitModel":
        """This model, from the next batch on at the operating point `name`.

        Raises:
            UnknownNameError: listing the operating points.
        """
        self._active = name, self._plan(name)
        return self

    def __call__(self, inputs: Any, on_resolved: OnResolved | None = None) -> Outcome:
        """The outcome of a batch, in input order.

        Args:
            inputs: as the backbone takes them.
            on_resolved: called once per item as soon as its answer is known, with an array of logits.
        """
        name, plan = self._active
        found = run(self._fastest(name, plan, inputs), inputs, on_resolved)
        return Outcome(*map(self._convert, (found.output, found.exit_index, found.score)))

    def pooled(self, on_resolved: OnResolved, full: int = 32, max_wait: float = math.inf) -> Pooled:
        """Runs a stream of batches for throughput at the operating point that is active now; see `Pooled`.

        Args:
            on_resolved: called for every sample with its number, counted over all batches from 0.
            full: samples that a stage runs at once.
            max_wait: seconds that a sample waits for others.

        Raises:
            InputError: if the model is left by hooks, which cannot stop between stages.
        """
        return Pooled(self._active[1], on_resolved, full, max_wait)

    def tune(self, rounds: Mapping[int, Sequence[Sequence[Any]]]) -> Mapping[str, Mapping[int, Tuned]]:
        """Measures where leaving early is worth it; from then on batches of other sizes go to the uncut model.

        Each operating point is run against the uncut model on the same executor, interleaved; it is used at a batch
        size only where it is faster by more than `MARGIN` and the noise. A batch of a size that was not measured is
        treated as the nearest one.

        Args:
            rounds: per batch size the batches of each round, real ones: what they save depends on them.
        """
        found = {name: {size: tuned(plan, some) for size, some in rounds.items()} for name, plan in self._plans.items()}
        self._uncut_at = {name: {size: not one.early for size, one in sizes.items()} for name, sizes in found.items()}
        return found

    def _fastest(self, name: str, plan: Plan, inputs: Any) -> Plan:
        """The plan, or the uncut model where that was measured to be faster."""
        sizes = self._uncut_at.get(name)
        if not sizes or not plan.stops:
            return plan
        samples = plan.executor.samples(inputs)
        nearest = min(sizes, key=lambda size: abs(math.log(size / samples)))
        return uncut(plan) if sizes[nearest] else plan

    def _plan(self, name: str) -> Plan:
        if name not in self._plans:
            raise UnknownNameError.among("operating point", name, self._plans)
        return self._plans[name]
