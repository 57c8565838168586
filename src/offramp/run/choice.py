"""What a model runs on."""

from collections.abc import Sequence

from offramp.calibrate.calibrator import Calibrator
from offramp.gates.gate import Gate
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.reading import LogitsOf
from offramp.run.driver import Driver
from offramp.run.eager import Eager
from offramp.run.headed import Headed
from offramp.run.hooked import Hooked
from offramp.run.stepped import Stepped


def driver(backbone: Backbone, names: Sequence[str], logits_of: LogitsOf) -> Driver:
    """Eager segments where the model could be captured, else the model itself with hooks; it stops at these points."""
    kind = Hooked if backbone.graph is None else Eager
    return kind.of(backbone, names, logits_of)


def executor(
    multi_exit: MultiExit, logits_of: LogitsOf, gate: Gate, calibrators: Sequence[Calibrator], enabled: Sequence[bool]
) -> Headed:
    """The executor of PyTorch, which stops only where an exit is enabled."""
    on = {exit_.point for exit_, is_on in zip(multi_exit.exits, enabled, strict=True) if is_on}
    names = [point.name for point in multi_exit.points if point.name in on]
    runs = driver(multi_exit.backbone, names, logits_of)
    kind = Stepped if isinstance(runs, Eager) else Headed
    return kind.of(runs, multi_exit, gate, calibrators)  # type: ignore[arg-type]
