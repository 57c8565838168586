"""The controller at work: measures, steps and switches, once a second."""

import logging
import threading
from dataclasses import replace

from offramp.serve.controller import Controller, Standing
from offramp.serve.endpoint import Endpoint
from offramp.serve.logs import LOG, tell
from offramp.serve.watch import Watch


class Holding:
    """Holds the target of a controller on an endpoint.

    A point that somebody switches to by hand is where it goes on from, if it is one of its own; else it steps in only
    where the target is missed.
    """

    def __init__(self, endpoint: Endpoint, watch: Watch, controller: Controller, period: float = 1.0) -> None:
        """Not yet begun.

        Args:
            endpoint: what is switched.
            watch: what is measured.
            controller: what decides.
            period: seconds between two measurements.
        """
        self._endpoint, self._watch, self._controller, self._period = endpoint, watch, controller, period
        self._standing = Standing()
        self._lock, self._ended = threading.Lock(), threading.Event()

    @property
    def points(self) -> tuple[str, ...]:
        """The operating points that it uses."""
        return self._controller.points

    def start(self) -> None:
        """Begins, in a thread of its own; also again, after an end."""
        self._ended = threading.Event()
        threading.Thread(target=self._run, args=(self._ended,), name="offramp-controller", daemon=True).start()

    def end(self) -> None:
        """No more steps."""
        self._ended.set()

    def without(self, point: str) -> None:
        """Uses a point no more, unless it is the only one."""
        with self._lock:
            left = tuple(name for name in self._controller.points if name != point)
            if left:
                self._controller, self._standing = replace(self._controller, points=left), Standing()

    def tick(self) -> None:
        """One measurement, and one step at most."""
        with self._lock:
            controller, active = self._controller, self._endpoint.active.name
            if active in controller.points and active != controller.points[self._standing.level]:
                self._standing = Standing(controller.points.index(active))
            before = self._standing.level
            self._standing = controller.step(self._standing, self.measured())
            after = controller.points[self._standing.level]
            if self._standing.level != before and after != active:
                told = f"{controller.measure} of {controller.target:.3g}: from {active} to {after}"
                tell(logging.INFO, "step", told, measure=controller.measure, target=controller.target, point=after)
                self._endpoint.switch(after)

    def measured(self) -> float | None:
        """What is to be held, now; None where nothing came lately and nothing waits."""
        if self._controller.measure == "queue":
            return float(self._endpoint.engine.waiting)
        if self._controller.measure == "p95":
            found = self._watch.latency.quantile(0.95)
        else:
            costs = self._watch.costs.values()
            found = float(costs.mean()) if costs.size else None
        if found is None and self._endpoint.engine.waiting:
            return float("inf")  # all are stuck
        return found

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self._period):
            try:
                self.tick()
            except Exception:
                LOG.exception("the controller failed at a step")
