"""Which executor a model runs on."""

from offramp.model.capture import LogitsOf
from offramp.model.multi_exit import MultiExit
from offramp.run.eager import Eager
from offramp.run.executor import Executor
from offramp.run.hooked import Hooked


def executor(multi_exit: MultiExit, logits_of: LogitsOf) -> Executor:
    """Eager segments where the model could be captured, else the model itself with hooks."""
    if multi_exit.backbone.graph is None:
        return Hooked.of(multi_exit, logits_of)
    return Eager.of(multi_exit, logits_of)
