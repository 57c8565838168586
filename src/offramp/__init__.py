"""Early exits for any pretrained PyTorch model: found, trained without labels, certified, and really taken."""

from importlib.metadata import version

__version__ = version("offramp")

from offramp.bundle import Bundle
from offramp.evaluate import Evaluation, evaluate
from offramp.load.models import load_model
from offramp.load.sources import open_source
from offramp.model.points import find_exit_points
from offramp.pipeline import Options, build
from offramp.run.loop import Outcome
from offramp.run.model import EarlyExitModel
from offramp.types import (
    Bound,
    Configuration,
    CostProfile,
    Exit,
    ExitPoint,
    ExitTable,
    OperatingPoint,
    ParetoFront,
)

__all__ = [
    "Bound",
    "Bundle",
    "Configuration",
    "CostProfile",
    "EarlyExitModel",
    "Evaluation",
    "Exit",
    "ExitPoint",
    "ExitTable",
    "OperatingPoint",
    "Options",
    "Outcome",
    "ParetoFront",
    "build",
    "evaluate",
    "find_exit_points",
    "load_model",
    "open_source",
]
