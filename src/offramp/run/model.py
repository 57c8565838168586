"""A model with early exits, as a user calls it. Free of torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from offramp.decide.rule import rule as rule_of
from offramp.errors import UnknownNameError
from offramp.run.guard import Guard
from offramp.run.loop import OnResolved, Outcome, Plan, run
from offramp.run.pooled import Pooled
from offramp.run.stage_seconds import ExecutorFor
from offramp.run.tuning import UNCUT, Tuned, fastest, tuned, uncut
from offramp.types import Configuration


@dataclass(frozen=True, eq=False)
class _Choice:
    """What is used at a batch size; `name` and `guard` are None where that is the uncut model."""

    name: str | None
    plan: Plan
    guard: Guard | None


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
        promises: Mapping[str, float] | None = None,
        rule: str = "direct",
    ) -> None:
        """The model.

        Args:
            executor_for: makes the executor for a set of enabled exits; called once for each set.
            points: the operating points by name.
            point_of: for each exit, the number of its place.
            active: the operating point to begin with.
            convert: makes of an array what the caller wants.
            promises: the bound of each certified point; those of one risk.
            rule: how scores decide, by name.

        Raises:
            UnknownNameError: if there is no such rule.
        """
        by = rule_of(rule)
        made = cache(executor_for)
        self._convert = convert

        def plan(configuration: Configuration) -> Plan:
            return Plan.of(configuration, point_of, made(configuration.enabled), by)

        self._plans = {name: plan(configuration) for name, configuration in points.items()}
        self._promises = dict(promises or {})
        self._tuned: Mapping[str, Mapping[int, _Choice]] = {}
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
        choice = self._choice(name, plan, inputs)
        if choice is None:
            found = run(plan, inputs, on_resolved)
        elif choice.guard is None or not choice.guard.early():
            found = run(uncut(plan), inputs, on_resolved)
        else:
            found = run(choice.plan, inputs, on_resolved)
            choice.guard.saw(found.exit_index)
        full = {name: self._convert(values) for name, values in found.full.items()}
        output, exit_index, score, end = map(
            self._convert, (found.output, found.exit_index, found.score, found.at_backbone)
        )
        return Outcome(output, exit_index, score, full, end)

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

    def tune(
        self, rounds: Mapping[int, Sequence[Sequence[Any]]], points: Sequence[str] | None = None
    ) -> Mapping[str, Mapping[int, Tuned]]:
        """Measures which plan is fastest at each batch size; from then on it is used there.

        All operating points are run against the uncut model on the same executor, interleaved. In place of a point
        another one may be used that is faster and promises no less, or the uncut model, where none is faster by more
        than `MARGIN` and the noise. A batch of a size that was not measured is treated as the nearest one. While the
        model runs the exit shares are watched: where too few leave the uncut model takes over, see `Guard`.

        Args:
            rounds: per batch size the batches of each round, real ones: what they save depends on them.
            points: the operating points to measure; default all.

        Returns:
            What was measured, by operating point and batch size.

        Raises:
            UnknownNameError: listing the operating points.
        """
        plans = {name: self._plan(name) for name in points or self._plans}
        first = {plan.configuration: name for name, plan in reversed(plans.items())}  # aliases are measured once
        found: dict[int, dict[str, Tuned]] = {}
        for size, some in rounds.items():
            once = tuned({name: plans[name] for name in first.values()}, some)
            found[size] = {name: once[first[plan.configuration]] for name, plan in plans.items()}
        self._tuned = {name: {size: self._chosen(name, sizes) for size, sizes in found.items()} for name in plans}
        return {name: {size: sizes[name] for size, sizes in found.items()} for name in plans}

    def plan(self, name: str, samples: int) -> str | None:
        """Which operating point is used for a batch of that size where `name` is asked for; None for the uncut model.

        Raises:
            UnknownNameError: listing the operating points.
        """
        plan = self._plan(name)
        choice = self._nearest(name, plan, samples)
        return name if choice is None else choice.name

    def _chosen(self, name: str, found: Mapping[str, Tuned]) -> "_Choice":
        promise = self._promises.get(name)
        others = [other for other, bound in self._promises.items() if promise is not None and bound <= promise]
        best = fastest(found, [one for one in dict.fromkeys([name, *others]) if one in found])
        if best == UNCUT:
            return _Choice(None, uncut(self._plans[name]), None)
        times = found[best].times
        assert times is not None
        return _Choice(best, self._plans[best], Guard(times))

    def _choice(self, name: str, plan: Plan, inputs: Any) -> "_Choice | None":
        """What was measured to be fastest; None where nothing was measured, or nothing can be saved."""
        return self._nearest(name, plan, plan.executor.samples(inputs)) if self._tuned.get(name) else None

    def _nearest(self, name: str, plan: Plan, samples: int) -> "_Choice | None":
        sizes = self._tuned.get(name)
        if not sizes or not plan.stops:
            return None
        return sizes[min(sizes, key=lambda size: abs(math.log(size / samples)))]

    def _plan(self, name: str) -> Plan:
        if name not in self._plans:
            raise UnknownNameError.among("operating point", name, self._plans)
        return self._plans[name]
