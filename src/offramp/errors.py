"""The exceptions a user can meet.

    OfframpError
    ├── InputError (also ValueError)      bad argument, data or label: the call can be repeated with better input
    │   ├── DataError                     the data cannot be used: empty, wrong shape, NaN, damaged labels
    │   │   └── NoLabelsError             labels were asked for and there are none
    │   └── UnknownNameError              a model, point, head or recipe name that does not exist
    ├── CaptureError                      the model cannot be cut; names the module and the reason
    ├── BundleError                       a bundle is missing, corrupt or of an unknown schema
    │   └── ForeignBackboneError          the bundle was made for other weights
    └── SplitReuseError                   a split was to be used for a second purpose

Every message says what was expected, what came instead, and what to do.
"""

from collections.abc import Iterable


class OfframpError(Exception):
    """Base of all errors raised on purpose by offramp."""


class InputError(OfframpError, ValueError):
    """An argument cannot be used."""


class DataError(InputError):
    """The data cannot be used."""


class NoLabelsError(DataError):
    """There are no labels."""


class UnknownNameError(InputError):
    """A name that is not among the known ones."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownNameError":
        """Error that names the `kind`, the unknown `name` and the `known` ones."""
        article = "an" if kind[:1] in "aeiou" else "a"
        return cls(f"expected {article} {kind} among {', '.join(known) or '(none)'}; got {name!r}")


class CaptureError(OfframpError):
    """The model cannot be captured or cut."""


class BundleError(OfframpError):
    """The bundle cannot be read or written."""


class ForeignBackboneError(BundleError):
    """The bundle was made for another backbone."""


class SplitReuseError(OfframpError):
    """A split that chose something was offered as evidence about it."""
