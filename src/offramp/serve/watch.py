"""What is known of a model that is being served: counts, recent latencies, audits; for metrics, page and controller."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from offramp.serve.deployment import Deployment
from offramp.serve.metrics import Metrics
from offramp.serve.monitor import Alarmed, Auditor, Audits, Recent
from offramp.serve.sample import Answer, Ran, Sample
from offramp.serve.slowdown import Pace, Slowdown, Told


@dataclass
class Counted:
    """What was done so far; written in the thread of the batches alone.

    Attributes:
        samples: answered.
        failed: refused after they had been taken.
        batches: run.
        seconds: in batches.
        computed: seconds from the beginning of its batch to its end, of all samples.
        waited: seconds of all samples before their batch.
        last: when the last batch ended, in milliseconds since 1970.
        exits: samples by the exit that answered.
    """

    samples: int = 0
    failed: int = 0
    batches: int = 0
    seconds: float = 0.0
    computed: float = 0.0
    waited: float = 0.0
    last: int = 0
    exits: Counter[int] = field(default_factory=Counter)


class Watch:
    """Listens to the engine; see `engine.Watcher`.

    Attributes:
        counted: since the start.
        latency: seconds of recent samples from their arrival to their answer.
        costs: of recent samples, as a share of the backbone's.
        exits: of recent samples.
        auditor: what audits found.
        slowdown: whether samples go on for too long.
        metrics: the same for Prometheus.
    """

    def __init__(
        self,
        deployment: Deployment,
        audits: Audits,
        alarmed: Alarmed,
        clock: Callable[[], float] = time.monotonic,
        *,
        pace: Pace | None = None,
        slowed: Told = lambda *_: None,
        keep: Callable[[Sample], None] | None = None,
    ) -> None:
        """Nothing seen yet.

        Args:
            deployment: what is watched.
            audits: how samples are drawn, as the endpoint draws them.
            alarmed: called once for each point that breaks its promise.
            clock: tells the time in seconds.
            pace: when samples go on for too long.
            slowed: told when they begin to, and when that is taken back.
            keep: takes each sample that audits drew, once it is answered.
        """
        self.counted = Counted()
        self.latency, self.costs, self.exits = (Recent(clock=clock) for _ in range(3))
        promises = {name: point.promise for name, point in deployment.points.items()}
        self.auditor = Auditor(audits, promises, alarmed)
        self.metrics = Metrics(deployment.name, deployment.exits, list(deployment.points))
        self._deployment, self._clock, self._keep, self._audited = deployment, clock, keep, audits.share
        self._slowed = slowed
        self.slowdown = Slowdown(pace or Pace(), deployment.points, self._slow, clock)
        for name in deployment.points:
            if (promise := self.auditor.found(name).promise) is not None:
                self.metrics.promise.labels(deployment.name, name).set(promise)
        self._costs = {name: point.leaving for name, point in deployment.points.items()}

    def ran(self, batch: Ran) -> None:
        """Counts a batch."""
        now = self._clock()
        counted, model = self.counted, self._deployment.name
        counted.samples += len(batch.samples)
        counted.batches += 1
        counted.seconds += batch.seconds
        counted.computed += batch.seconds * len(batch.samples)
        counted.last = time.time_ns() // 1_000_000
        self.metrics.onwards.labels(model, "input").observe(batch.size)
        for exit_index, onwards in batch.onwards:
            self.metrics.onwards.labels(model, self._deployment.exits[exit_index]).observe(onwards)
        for sample in batch.samples:
            assert isinstance(sample.answer, Answer)
            waited = now - batch.seconds - sample.since
            counted.waited += waited
            counted.exits[sample.answer.exit_index] += 1
            self.metrics.queue.labels(model).observe(max(waited, 0.0))
            self.metrics.exits.labels(model, self._deployment.exits[sample.answer.exit_index], sample.point).inc()
            self.latency.add(now - sample.since)
            self.exits.add(float(sample.answer.exit_index))
            costs = self._costs[sample.point]
            if costs is not None:
                self.costs.add(costs[sample.answer.exit_index])
            if sample.audited and self._keep is not None:
                self._keep(sample)
        self._audit(batch)

    def refused(self, sample: Sample) -> None:
        """Counts a sample that could not be answered."""
        self.counted.failed += 1

    def _audit(self, batch: Ran) -> None:
        if not batch.complete:
            return
        compared = {id(one.sample): one for one in batch.compared}
        found: dict[str, list[tuple[float | None, int]]] = {}
        for sample in batch.samples:
            if not sample.free:
                continue
            one = compared.get(id(sample))
            disagreed = None if one is None else self._apart(one.early.logits, one.backbone)
            assert isinstance(sample.answer, Answer)
            found.setdefault(sample.point, []).append((disagreed, sample.answer.exit_index))
        for point, seen in found.items():
            self.auditor.saw(point, [disagreed for disagreed, _ in seen])
            self._tell(point)
            self.slowdown.saw(point, [left for _, left in seen])
        self.slowdown.tick()

    def _apart(self, early: np.ndarray, backbone: np.ndarray) -> float:
        """How far what was answered is from what the backbone says, in the sense of the task."""
        return float(self._deployment.task.disagreement(early[None, None], backbone[None])[0, 0])

    def _tell(self, point: str) -> None:
        model, known = self._deployment.name, self.auditor.found(point)
        if known.disagreement is not None:
            self.metrics.disagreement.labels(model, point).set(known.disagreement)
        if known.promise is not None:
            self.metrics.alarm.labels(model, point).set(float(known.alarm is not None))

    def _slow(self, point: str, slow: bool) -> None:
        self.metrics.slow.labels(self._deployment.name, point).set(float(slow))
        self._slowed(point, slow)

    def snapshot(self, active: str, waiting: int) -> dict[str, Any]:
        """What the page shows."""
        latency, costs = self.latency.values(), self.costs.values()
        return {
            "model": self._deployment.name,
            "active": active,
            "waiting": waiting,
            "version": self._deployment.version,
            "slow": self.slowdown.slow(active),
            "window": self.latency.seconds,
            "answered": self.counted.samples,
            "failed": self.counted.failed,
            "rate": len(latency) / self.latency.seconds,
            "p50": float(np.quantile(latency, 0.5)) if len(latency) else None,
            "p95": float(np.quantile(latency, 0.95)) if len(latency) else None,
            "cost": float(costs.mean()) if len(costs) else None,
            "audit_share": self._audited,
            "exits": self._exits_now(active),
            "points": [self._point_now(name) for name in self._deployment.points],
        }

    def _exits_now(self, active: str) -> list[dict[str, Any]]:
        """Of each exit what it costs at the active point, and how many leave there."""
        deployment, exits, costs = self._deployment, self.exits.values(), self._costs[active]
        on = (*deployment.points[active].configuration.enabled, True)
        used = (*deployment.enabled, True)
        return [
            {
                "name": name,
                "on": on[index],
                "used": used[index],
                "cost": None if costs is None else float(costs[index]),
                "left": self.counted.exits[index],
                "share": float((exits == index).mean()) if len(exits) else None,
            }
            for index, name in enumerate(deployment.exits)
        ]

    def _point_now(self, name: str) -> dict[str, Any]:
        """Of an operating point what was known when it was chosen, and what audits found since."""
        point, known = self._deployment.points[name], self.auditor.found(name)
        wrong = (known.disagreement or 0.0) * known.samples * self._audited
        return {
            "name": name,
            "cost": point.cost,
            "loss": point.loss,
            "bound": point.bound,
            "risk": point.risk,
            "early": any(point.configuration.enabled),
            "promise": known.promise,
            "samples": known.samples,
            "compared": known.compared,
            "differed": round(wrong),
            "measured": known.disagreement if known.compared else None,
            "alarm": known.alarm is not None,
        }
