"""Inputs for stages that hold only for the sizes with which a model was captured."""

from offramp.errors import DataError
from offramp.inputs import Inputs, arranged, described, device_of, on
from offramp.model.backbone import Backbone


def placed(inputs: Inputs, backbone: Backbone) -> Inputs:
    """The inputs in order and on the model's device.

    Raises:
        DataError: if they are not like those that the model was captured with.
    """
    found = arranged(inputs, backbone.example)
    if backbone.graph is None or not backbone.graph.captured.sizes.allow(found):
        raise DataError(
            f"expected inputs {described(backbone.example)}, with which the model was captured, got "
            f"{described(found)}; use the eager back end for other sizes"
        )
    return on(found, device_of(backbone.model))
