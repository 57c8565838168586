"""An endpoint on a real model, and what is heard and seen of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint
from offramp.serve.errors import RefusedError
from offramp.serve.loading import from_bundle
from offramp.serve.sample import Answer, Ran, Sample
from tests.builds import bundle, images

SAMPLES = 40


class Notes:
    """A watcher that writes down what it sees."""

    def __init__(self) -> None:
        self.batches: list[Ran] = []
        self.gone: list[Sample] = []

    def ran(self, batch: Ran) -> None:
        self.batches.append(batch)

    def refused(self, sample: Sample) -> None:
        self.gone.append(sample)


class Ears:
    """What was heard of each sample, in order."""

    def __init__(self) -> None:
        self.heard: dict[int, list[Answer | RefusedError]] = {}
        self._changed = threading.Condition()

    def __call__(self, number: int, answer: Answer | RefusedError) -> None:
        with self._changed:
            self.heard.setdefault(number, []).append(answer)
            self._changed.notify()

    def finals(self, samples: int) -> list[Answer | RefusedError]:
        """The last word about each sample, once there is one."""

        def done(number: int) -> bool:
            last = self.heard.get(number, [None])[-1]
            return isinstance(last, RefusedError) or (last is not None and last.final)

        with self._changed:
            assert self._changed.wait_for(lambda: all(map(done, range(samples))), 20)
        for said in self.heard.values():
            assert sum(isinstance(one, RefusedError) or one.final for one in said) == 1
        return [self.heard[number][-1] for number in range(samples)]


def deployment() -> Deployment:
    return from_bundle(bundle(), "eager", Path(), "toy")


@contextmanager
def served(made: Deployment | None = None, **wishes: Any) -> Iterator[tuple[Endpoint, Notes]]:
    notes = Notes()
    endpoint = Endpoint(made or deployment(), notes, **wishes)
    try:
        yield endpoint, notes
    finally:
        assert endpoint.engine.close(20.0)


def inputs(samples: int = SAMPLES, seed: int = 5) -> dict[str, np.ndarray]:
    return {"input0": images(samples, seed).numpy()}


def exits(answers: Sequence[Answer | RefusedError]) -> list[int]:
    return [one.exit_index for one in answers if isinstance(one, Answer)]
