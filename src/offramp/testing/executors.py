"""The tests every executor has to pass.

An executor's test file is `class TestMine(ExecutorSuite)` with one fixture `make`, which turns a multi-exit model into
the executor. The truth is the user's own model, tapped with hooks.
"""

from collections.abc import Callable, Iterator
from functools import cache

import torch

from offramp.inputs import Inputs, leaves, select
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
        """The same from the executor's pieces."""
        found = []
        with torch.no_grad():
            state = executor.start(inputs)
            for segment, point in enumerate(live.points):
                state = executor.segment(segment, state)
                found += [executor.head(i, state[0]) for i, exit_ in enumerate(live.exits) if exit_.point == point.name]
            return torch.stack([*found, executor.segment(len(live.points), state)[0]])

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
        """Segment k on a subset is the subset of segment k on the whole, side values included."""
        staying = torch.tensor([4, 1, 2])
        for live, inputs in self.cases():
            executor = make(live)
            with torch.no_grad():
                whole, part = executor.start(inputs), executor.start(select(inputs, staying))
                for segment in range(len(live.points) + 1):
                    whole, part = executor.segment(segment, whole), executor.segment(segment, part)
                    expected = tuple(value.index_select(0, staying) for value in whole)
                    torch.testing.assert_close(part, expected, rtol=self.tolerance, atol=self.tolerance)

    def test_inputs_are_left_alone(self, make: Make) -> None:
        """The caller's tensors hold what they held."""
        for live, inputs in self.cases():
            before = tuple(tensor.clone() for tensor in leaves(inputs))
            self.outputs(make(live), live, inputs)
            torch.testing.assert_close(leaves(inputs), before, rtol=0, atol=0)
