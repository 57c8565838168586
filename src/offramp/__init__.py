"""Early exits for any pretrained PyTorch model: found, trained without labels, certified, and really taken.

Names are imported when they are first used, so that the decision column can be used where torch is not installed.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offramp.bundle import Bundle as Bundle
    from offramp.evaluation import Evaluation as Evaluation
    from offramp.evaluation import evaluate as evaluate
    from offramp.load.models import load_model as load_model
    from offramp.load.quantised import quantised as quantised
    from offramp.load.sources import open_source as open_source
    from offramp.model.points import find_exit_points as find_exit_points
    from offramp.options import Options as Options
    from offramp.pipeline import build as build
    from offramp.run.loop import Outcome as Outcome
    from offramp.run.model import EarlyExitModel as EarlyExitModel
    from offramp.types import Bound as Bound
    from offramp.types import Configuration as Configuration
    from offramp.types import CostProfile as CostProfile
    from offramp.types import Exit as Exit
    from offramp.types import ExitPoint as ExitPoint
    from offramp.types import ExitTable as ExitTable
    from offramp.types import OperatingPoint as OperatingPoint
    from offramp.types import ParetoFront as ParetoFront

__version__ = version("offramp")

_HOME = {
    "Bound": "types",
    "Bundle": "bundle",
    "Configuration": "types",
    "CostProfile": "types",
    "EarlyExitModel": "run.model",
    "Evaluation": "evaluation",
    "Exit": "types",
    "ExitPoint": "types",
    "ExitTable": "types",
    "OperatingPoint": "types",
    "Options": "options",
    "Outcome": "run.loop",
    "ParetoFront": "types",
    "build": "pipeline",
    "evaluate": "evaluation",
    "find_exit_points": "model.points",
    "load_model": "load.models",
    "open_source": "load.sources",
    "quantised": "load.quantised",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'offramp' has no attribute {name!r}")
    value = getattr(import_module(f"offramp.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
