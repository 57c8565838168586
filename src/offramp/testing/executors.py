"""The tests every executor has to pass.

An executor's test file is `class TestMine(ExecutorSuite)` with one fixture `make`, which turns a multi-exit model into
the executor. The truth is the user's own model, tapped with hooks.
"""

from collections.abc import Callable, Iterator
from functools import cache

import torch

from offramp.inputs import Inputs, leaves, mask_of
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.run.executor import Executor
from offramp.tasks.classification import Classification
from offramp.testing.models import TOYS, Toy, attached

Make = Callable[[MultiExit], Executor]


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

    def truth(self, live: MultiExit, inputs: Inputs) -> torch.Tensor:
        """All exits' logits, the backbone's last, from the user's own model."""
        with frozen(live.backbone.model):
            return live.outputs(inputs, Classification().logits_of)

    def outputs(self, executor: Executor, live: MultiExit, inputs: Inputs) -> torch.Tensor:
        """The same from the executor, which nobody leaves."""
        found: list[torch.Tensor] = []

        def stop(point: int, feature: torch.Tensor) -> None:
            found.extend(
                executor.head(exit_, feature, mask_of(inputs)) for exit_, at in enumerate(live.point_of) if at == point
            )

        with torch.no_grad():
            last = executor.drive(inputs, stop)
        assert last is not None
        return torch.stack([*found, last])

    def test_pieces_say_what_the_model_says(self, make: Make) -> None:
        """Segments and heads give the logits that hooks see, for every exit and batch size."""
        for batch in (1, 6):
            for live, inputs in self.cases(batch):
                found = self.outputs(make(live), live, inputs)
                torch.testing.assert_close(found, self.truth(live, inputs), rtol=self.tolerance, atol=self.tolerance)

    def test_whole_is_the_backbone(self, make: Make) -> None:
        """Uncut, at every batch size."""
        for batch in (1, 6):
            for live, inputs in self.cases(batch):
                with torch.no_grad():
                    found = make(live).whole(inputs)
                expected = self.truth(live, inputs)[-1]
                torch.testing.assert_close(found, expected, rtol=self.tolerance, atol=self.tolerance)

    def test_a_shrunk_batch_goes_on_as_if_the_others_had_never_been(self, make: Make) -> None:
        """Wherever the batch shrinks, what comes after is that of the remaining samples, side values included."""
        staying = torch.tensor([4, 1, 2])
        for live, inputs in self.cases():
            executor, truth = make(live), self.truth(live, inputs)
            for where in range(len(live.points)):

                def stop(point: int, _feature: torch.Tensor, where: int = where) -> torch.Tensor | None:
                    return staying if point == where else None

                with torch.no_grad():
                    found = executor.drive(inputs, stop)
                assert found is not None
                torch.testing.assert_close(found, truth[-1][staying], rtol=self.tolerance, atol=self.tolerance)

    def test_a_batch_that_shrinks_again_and_again_keeps_its_order(self, make: Make) -> None:
        """At every point the last sample leaves; features and logits are those of the others."""
        for live, inputs in self.cases(6):
            executor = make(live)
            sizes: list[int] = []

            def stop(_point: int, feature: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
                sizes.append(len(feature))
                return torch.arange(len(feature) - 1)

            with torch.no_grad():
                found = executor.drive(inputs, stop)
            expected = self.truth(live, inputs)[-1]
            left = max(6 - len(live.points), 0)
            assert sizes == [6 - index for index in range(min(len(live.points), 6))]
            assert (found is None) == (left == 0)
            if found is not None:
                torch.testing.assert_close(found, expected[:left], rtol=self.tolerance, atol=self.tolerance)

    def test_nothing_is_computed_for_nobody(self, make: Make) -> None:
        """Where all have left at the first point no later one is reached."""
        for live, inputs in self.cases():
            reached: list[int] = []

            def stop(point: int, _feature: torch.Tensor, reached: list[int] = reached) -> torch.Tensor:
                reached.append(point)
                return torch.zeros(0, dtype=torch.int64)

            with torch.no_grad():
                assert make(live).drive(inputs, stop) is None
            assert reached == [0]

    def test_inputs_are_left_alone(self, make: Make) -> None:
        """The caller's tensors hold what they held."""
        for live, inputs in self.cases():
            before = tuple(tensor.clone() for tensor in leaves(inputs))
            self.outputs(make(live), live, inputs)
            torch.testing.assert_close(leaves(inputs), before, rtol=0, atol=0)
