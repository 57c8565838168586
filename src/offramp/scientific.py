"""SciPy, imported when it is used: of the decision column only certificates and fitted calibrators need it."""

from importlib import import_module
from typing import Any

from offramp.errors import InputError


def scipy(part: str, purpose: str) -> Any:
    """The module `scipy.PART`.

    Args:
        part: such as `special`.
        purpose: what it is wanted for, as the error says it.

    Raises:
        InputError: if SciPy is not installed, as beside an exported model.

    Example:
        >>> scipy("special", "the example").comb(4, 2)
        np.float64(6.0)
    """
    try:
        return import_module(f"scipy.{part}")
    except ModuleNotFoundError as error:
        if error.name != "scipy":
            raise
        raise InputError(f"expected the package scipy for {purpose}, got none installed; pip install scipy") from error
