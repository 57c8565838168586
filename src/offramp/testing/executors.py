"""The tests every executor has to pass.

An executor's test file is `class TestMine(ExecutorSuite)` with one fixture `make`, which turns a multi-exit model, a
gate and calibrators into the executor that stops at all exits. The truth is the user's own model, tapped with hooks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.temperature import Temperature
from offramp.gates.gate import Gate
from offramp.gates.max_prob import MaxProb
from offramp.inputs import Inputs, call, leaves
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.reading import full_of, reader
from offramp.run.executor import Executor, Said, Say
from offramp.run.loop import stops_of
from offramp.tasks.classification import Classification
from offramp.testing.models import TOYS, Toy, attached

Make = Callable[[MultiExit, Gate, Sequence[Calibrator]], Executor]


@cache
def _attached(toy: Toy) -> MultiExit:
    return attached(toy.model(), toy.inputs(2), ("grid-linear", "pooled-mlp"))


class ExecutorSuite:
    """What holds for every executor; subclass it and give the fixture `make`."""

    tolerance = 1e-4

    def cases(self, batch: int = 6) -> Iterator[tuple[MultiExit, Inputs]]:
        """Each toy with two heads at every point, and a batch for it."""
        for toy in TOYS:
            yield _attached(toy), toy.inputs(batch)

    def calibrators(self, live: MultiExit) -> list[Calibrator]:
        """Another temperature for every exit."""
        return [Temperature(0.5 + 0.25 * index) for index in range(len(live.exits))]

    def truth(self, live: MultiExit, inputs: Inputs) -> list[Said]:
        """What all exits say, the backbone last with what else it returns, from the user's own model."""
        read = reader(Classification())
        with frozen(live.backbone.model):
            outputs = live.outputs(inputs, read)
            full = full_of(read, call(live.backbone.model, inputs))
        inner = [calibrate(logits) for calibrate, logits in zip(self.calibrators(live), outputs[:-1], strict=True)]
        besides = {name: tensor.cpu().numpy() for name, tensor in full.items()}
        return [*map(_said, inner), replace(_said(outputs[-1]), full=besides)]

    def close(self, found: Said, expected: Said, rows: Sequence[int] | None = None) -> None:
        """Fails unless both say the same; `rows`: which rows of the expected."""
        chosen = np.arange(len(expected.score)) if rows is None else np.array(rows, np.int64)
        for one, other in ((found.logits, expected.logits), (found.score, expected.score)):
            np.testing.assert_allclose(one, other[chosen], rtol=self.tolerance, atol=self.tolerance)
        assert found.full.keys() == expected.full.keys()
        for name, values in expected.full.items():
            np.testing.assert_allclose(found.full[name], values[chosen], rtol=self.tolerance, atol=self.tolerance)

    def live(self, make: Make, live: MultiExit) -> tuple[Executor, tuple[tuple[int, ...], ...]]:
        """The executor, and the exits at each of its stops."""
        stops = stops_of((True,) * len(live.exits), live.point_of)
        return make(live, MaxProb(), self.calibrators(live)), stops

    def test_pieces_say_what_the_model_says(self, make: Make) -> None:
        """Segments, heads, calibration and gate say what hooks see, for every exit and batch size."""
        for batch in (1, 6):
            for live, inputs in self.cases(batch):
                executor, stops = self.live(make, live)
                found: list[Said] = []

                def stop(place: int, say: Say, found: list[Said] = found, stops: object = stops) -> None:
                    found.extend(say(exit_) for exit_ in stops[place])  # type: ignore[index]

                last = executor.drive(inputs, stop)
                assert last is not None
                for said, expected in zip([*found, last], self.truth(live, inputs), strict=True):
                    self.close(said, expected)

    def test_whole_is_the_backbone(self, make: Make) -> None:
        """Uncut, at every batch size."""
        for batch in (1, 6):
            for live, inputs in self.cases(batch):
                self.close(self.live(make, live)[0].whole(inputs), self.truth(live, inputs)[-1])

    def test_a_shrunk_batch_goes_on_as_if_the_others_had_never_been(self, make: Make) -> None:
        """Wherever the batch shrinks, what comes after is that of the remaining samples, side values included."""
        staying = [4, 1, 2]
        for live, inputs in self.cases():
            (executor, stops), truth = self.live(make, live), self.truth(live, inputs)
            for where in range(len(stops)):

                def stop(place: int, _say: Say, where: int = where) -> np.ndarray | None:
                    return np.array(staying) if place == where else None

                found = executor.drive(inputs, stop)
                assert found is not None
                self.close(found, truth[-1], staying)

    def test_a_batch_that_shrinks_again_and_again_keeps_its_order(self, make: Make) -> None:
        """At every stop the last sample leaves; what exits and backbone say is about the others."""
        for live, inputs in self.cases(6):
            (executor, stops), truth = self.live(make, live), self.truth(live, inputs)
            sizes: list[int] = []

            def stop(
                place: int,
                say: Say,
                sizes: list[int] = sizes,
                stops: tuple[tuple[int, ...], ...] = stops,
                truth: list[Said] = truth,
            ) -> np.ndarray:
                said = say(stops[place][0])
                sizes.append(len(said.score))
                self.close(said, truth[stops[place][0]], range(len(said.score)))
                return np.arange(len(said.score) - 1)

            found = executor.drive(inputs, stop)
            left = max(6 - len(stops), 0)
            assert sizes == [6 - index for index in range(min(len(stops), 6))]
            assert (found is None) == (left == 0)
            if found is not None:
                self.close(found, truth[-1], range(left))

    def test_nothing_is_computed_for_nobody(self, make: Make) -> None:
        """Where all have left at the first stop no later one is reached."""
        for live, inputs in self.cases():
            reached: list[int] = []

            def stop(place: int, _say: Say, reached: list[int] = reached) -> np.ndarray:
                reached.append(place)
                return np.zeros(0, np.int64)

            assert self.live(make, live)[0].drive(inputs, stop) is None
            assert reached == [0]

    def test_inputs_are_left_alone(self, make: Make) -> None:
        """The caller's tensors hold what they held."""
        for live, inputs in self.cases():
            before = tuple(tensor.clone() for tensor in leaves(inputs))
            executor, _ = self.live(make, live)
            executor.drive(inputs, lambda _place, _say: None)
            executor.whole(inputs)
            torch.testing.assert_close(leaves(inputs), before, rtol=0, atol=0)


def _said(logits: torch.Tensor) -> Said:
    return Said(logits.cpu().numpy(), MaxProb().score(logits, 0).cpu().numpy())
