"""Head types by the name under which the command line and the manifest know them."""

from offramp.errors import UnknownNameError
from offramp.heads.head import HeadType
from offramp.heads.reduction import Attend, Global, Grid

NAMES: dict[str, HeadType] = {
    "grid-mlp": HeadType(Grid(4), hidden=(256, 128), dropout=0.2),
    "grid-linear": HeadType(Grid(4)),
    "token-mlp": HeadType(Attend(4), hidden=(256, 128), dropout=0.2),
    "pooled-mlp": HeadType(Global(), hidden=(128,), dropout=0.1),
    "pooled-linear": HeadType(Global()),
}


def head_type(name: str) -> HeadType:
    """The head type of that name.

    Raises:
        UnknownNameError: listing the known ones.
    """
    if name not in NAMES:
        raise UnknownNameError.among("head", name, NAMES)
    return NAMES[name]
