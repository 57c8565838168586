"""Where a model can be left."""

from collections.abc import Sequence

from torch import nn

from offramp.errors import CaptureError
from offramp.inputs import Inputs
from offramp.model.backbone import Backbone
from offramp.model.by_graph import by_graph
from offramp.model.by_hooks import by_hooks
from offramp.reading import LogitsOf, reader
from offramp.tasks.classification import Classification
from offramp.types import ExitPoint


def analyse(model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf, *, nowhere: bool = False) -> Backbone:
    """The model with every place where it can be left: by its graph, or where that fails by hooks.

    Args:
        model: any module; left as it was found.
        example_inputs: inputs such as the model will get.
        logits_of: picks the logits out of the model's output.
        nowhere: whether a model will do that can be left nowhere: a small model in front needs no such place.

    Raises:
        CaptureError: if the model can be left nowhere, with the reasons.
    """
    try:
        return by_graph(model, example_inputs, logits_of)
    except CaptureError as refused:
        try:
            return by_hooks(model, example_inputs, logits_of)
        except CaptureError as error:
            if nowhere:
                return by_hooks(model, example_inputs, logits_of, ())
            raise CaptureError(
                f"{refused}. Nor by hooks: {error}. Write the model as an nn.Sequential of modules, each taking what "
                "the one before returns"
            ) from error


def at_size(backbone: Backbone, example_inputs: Inputs, logits_of: LogitsOf, names: Sequence[str]) -> Backbone:
    """The same model analysed with inputs of another size, by the same route, with the points of these names.

    Raises:
        CaptureError: if it cannot be left there with such inputs.
    """
    route = by_hooks if backbone.graph is None else by_graph
    return route(backbone.model, example_inputs, logits_of, names)


def find_exit_points(
    model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf | None = None
) -> tuple[ExitPoint, ...]:
    """All places where the model can be left, by depth. See `analyse`; by default the model is a classifier.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> [(point.name, round(point.depth, 2)) for point in find_exit_points(net, torch.randn(2, 4))]
    [('1', 0.27), ('3', 0.8)]
    """
    return analyse(model, example_inputs, logits_of or reader(Classification())).points
