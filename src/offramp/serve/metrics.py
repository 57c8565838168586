"""What Prometheus asks for, in a registry of its own."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 4.0, 8.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Metrics:
    """The metrics of one model; `model` is a label of all of them.

    Attributes:
        requests: answered or refused, by HTTP status.
        latency: seconds from the arrival of a request to its last answer.
        queue: seconds that a sample waited for its batch.
        exits: samples answered, by exit and operating point.
        onwards: samples that went on behind each exit; `input` is the whole batch.
        waiting: samples in the queue.
        active: 1 for the active operating point.
        disagreement: estimated by audits, by operating point.
        promise: certified, by operating point.
        alarm: 1 where the promise was found broken.
        slow: 1 where samples go on for too long.
    """

    def __init__(self, model: str, exits: Sequence[str], points: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self._model, self._points = model, tuple(points)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"offramp_{name}", about, ("model", *labels), registry=self.registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"offramp_{name}", about, ("model", *labels), registry=self.registry)

        def histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"offramp_{name}", about, ("model", *labels), buckets=buckets, registry=self.registry)

        self.requests = counter("requests", "Requests answered or refused.", "status")
        self.latency = histogram("request_seconds", "From a request's arrival to its last answer.", SECONDS)
        self.queue = histogram("queue_seconds", "What a sample waited for its batch.", SECONDS)
        self.exits = counter("exits", "Samples answered.", "exit", "point")
        self.onwards = histogram("batch_size", "Samples that went on behind an exit.", SIZES, "exit")
        self.waiting = gauge("queue_length", "Samples that wait.")
        self.active = gauge("active_point", "1 for the active operating point.", "point")
        self.disagreement = gauge("disagreement", "Share answered otherwise than by the backbone, by audits.", "point")
        self.promise = gauge("promised_disagreement", "What was certified.", "point")
        self.slow = gauge("slow", "1 where samples go on for longer than they did when the point was chosen.", "point")
        self.alarm = gauge("alarm", "1 where more disagree than was certified.", "point")

    def now_active(self, point: str) -> None:
        """Another point is active."""
        for name in self._points:
            self.active.labels(self._model, name).set(float(name == point))

    def exposition(self) -> bytes:
        """The text that a Prometheus server reads."""
        return generate_latest(self.registry)
