"""Segments for inputs of other sizes than those a backbone was captured with."""

from collections.abc import Sequence
from threading import Lock

import torch

from offramp.errors import CaptureError, DataError
from offramp.inputs import Inputs, Shapes, arranged, batch_size, described, select, shapes
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.segments import Chain
from offramp.model.sizes import Sizes
from offramp.model.turns import capturing
from offramp.reading import LogitsOf

REMEMBERED = 32
"""Graphs that are kept, and refusals; with more sizes in turn the model is captured again and again."""


class Chains:
    """A backbone cut at the same points for whatever sizes its inputs have.

    Where no graph holds for the sizes of a batch the model is captured anew for them, which takes as long as the first
    time, and is verified as then.
    """

    def __init__(self, backbone: Backbone, names: Sequence[str], logits_of: LogitsOf) -> None:
        self._backbone, self.names, self._logits_of = backbone, tuple(names), logits_of
        assert backbone.graph is not None
        self._chains: list[tuple[Sizes, Chain]] = [(backbone.graph.captured.sizes, backbone.chain(names))]
        self._refused: dict[Shapes, str] = {}
        self._lock = Lock()

    @property
    def full(self) -> tuple[str, ...]:
        """Names of what the model returns besides."""
        return self._backbone.full_names

    def fit_for(self, inputs: Inputs) -> Chain:
        """The segments for inputs of these sizes.

        Raises:
            DataError: if the inputs are of another kind, or the model refuses their sizes, or cannot be left at the
                same points with them.
        """
        return self._known(inputs) or self._made(inputs)

    def arranged(self, inputs: Inputs) -> Inputs:
        """The inputs in the order in which the segments take them.

        Raises:
            DataError: if they have other names, types or numbers of axes.
        """
        return arranged(inputs, self._backbone.example)

    def _known(self, inputs: Inputs) -> Chain | None:
        return next((chain for sizes, chain in self._chains if sizes.allow(inputs)), None)

    def _made(self, inputs: Inputs) -> Chain:
        key = shapes(inputs)
        with self._lock:
            known = self._known(inputs)  # another thread may have been faster
            if known is not None:
                return known
            if key in self._refused:
                raise DataError(self._refused[key])
            try:
                self._chains = [*self._chains[-REMEMBERED:], self._captured(inputs)]
            except DataError as error:
                self._refused = dict([*self._refused.items()][-REMEMBERED:]) | {key: str(error)}
                raise
            return self._chains[-1][1]

    def _captured(self, inputs: Inputs) -> tuple[Sizes, Chain]:
        model = self._backbone.model
        few = select(inputs, torch.arange(min(2, batch_size(inputs))))
        try:
            with capturing(model):
                backbone = by_graph(model, few, self._logits_of, self.names)
        except CaptureError as error:
            raise DataError(
                f"expected inputs with which {type(model).__name__} can be left at {', '.join(self.names)}, such as "
                f"{described(self._backbone.example)}, got {described(inputs)}: {error}; resize or pad them, or build "
                "a bundle for them"
            ) from error
        assert backbone.graph is not None
        return backbone.graph.captured.sizes, backbone.chain(self.names)
