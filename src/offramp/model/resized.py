"""Segments for inputs of other sizes than those a backbone was captured with."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import torch

from offramp.errors import CaptureError, DataError, UnknownNameError
from offramp.inputs import Inputs, Shapes, batch_size, described, select, shapes
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.capture import LogitsOf
from offramp.model.segments import Chain

REMEMBERED = 32
"""Sizes for which segments are kept; with more of them in turn the model is captured again and again."""


class Chains:
    """A backbone cut at the same points for whatever sizes its inputs have.

    Where the graph does not hold for the sizes of a batch the model is captured anew for them, which takes as long as
    the first time, and is verified as then.
    """

    def __init__(self, backbone: Backbone, names: Sequence[str], logits_of: LogitsOf) -> None:
        self._backbone, self._names, self._logits_of = backbone, tuple(names), logits_of
        self._first = backbone.chain(names)
        self._others: OrderedDict[Shapes, Chain] = OrderedDict()
        self._lock = Lock()

    def fit_for(self, inputs: Inputs) -> Chain:
        """The segments for inputs of these sizes.

        Raises:
            DataError: if the model refuses them, or cannot be left at the same points with them.
        """
        graph = self._backbone.graph
        assert graph is not None
        if graph.captured.sizes.allow(inputs):
            return self._first
        key = shapes(inputs)
        with self._lock:
            if key not in self._others:
                self._others[key] = self._captured(inputs)
                if len(self._others) > REMEMBERED:
                    self._others.popitem(last=False)
            self._others.move_to_end(key)
            return self._others[key]

    def _captured(self, inputs: Inputs) -> Chain:
        few = select(inputs, torch.arange(min(2, batch_size(inputs))))
        try:
            return by_graph(self._backbone.model, few, self._logits_of).chain(self._names)
        except (CaptureError, UnknownNameError) as error:
            raise DataError(
                f"expected inputs with which {type(self._backbone.model).__name__} can be left at "
                f"{', '.join(self._names)}, such as {described(self._backbone.example)}, got {described(inputs)}: "
                f"{error}; resize or pad them, or build a bundle for them"
            ) from error
