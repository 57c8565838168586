"""Head types by the name under which the command line and the manifest know them."""

from offramp.errors import UnknownNameError
from offramp.heads.convolutions import Convolutions, Filter
from offramp.heads.head import HeadType
from offramp.heads.mixed import Mixed
from offramp.heads.reduction import Attend, Extremes, Global, Grid, Whole
from offramp.heads.spelled import parsed

NAMES: dict[str, HeadType] = {
    "grid-mlp": HeadType(Grid(4), hidden=(256, 128), dropout=0.2),
    "grid-linear": HeadType(Grid(4)),
    "token-mlp": HeadType(Attend(4), hidden=(256, 128), dropout=0.2),
    "pooled-mlp": HeadType(Global(), hidden=(128,), dropout=0.1),
    "grid-wide": HeadType(Grid(4), hidden=(1024, 256), dropout=0.2),
    "pooled-linear": HeadType(Global()),
    "mlp3x500": HeadType(Global(), hidden=(500,) * 2),
    "mlp3x1000": HeadType(Global(), hidden=(1000,) * 2),
    "mlp5x500": HeadType(Global(), hidden=(500,) * 4),
    "mlp5x1000": HeadType(Global(), hidden=(1000,) * 4),
    "sdn": HeadType(Extremes(4), stem=Mixed()),
    "ztw": HeadType(Extremes(4), stem=Mixed(), cascade=True, ensemble=True),
    "flatten-fc256": HeadType(Whole(), hidden=(256,)),
    "conv-fc256": HeadType(Whole(), hidden=(256,), stem=Convolutions(((32, 3, 2),))),
    "conv2-fc128": HeadType(Whole(), hidden=(128,), stem=Convolutions(((32, 3, 2), (32, 3, 2)))),
    "gati-fc": HeadType(Whole(), hidden=(1024,)),
    "gati-pool": HeadType(Whole(4096), hidden=(1024,)),
    "gati-conv": HeadType(Whole(), stem=Filter()),
}


def head_type(name: str) -> HeadType:
    """The head type of that name: one of `NAMES`, or one that says how it is built (see `heads.spelled`).

    Raises:
        UnknownNameError: listing the known ones.
    """
    found = NAMES.get(name) or parsed(name)
    if found is None:
        raise UnknownNameError.among("head", name, NAMES)
    return found
