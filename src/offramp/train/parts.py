"""Which parts of a network with exits learn in a phase, said without knowing the network."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a parameter belongs.

    Attributes:
        kind: `"final"` is the last module with parameters to be called, the classifier; `"head"` an exit's; all else
            is `"backbone"`.
        stage: number of the first exit that depends on it; the number of inner exits where only the backbone's own
            output does.
    """

    kind: Literal["backbone", "final", "head"]
    stage: int


@runtime_checkable
class Part(Protocol):
    """A choice of pieces."""

    def holds(self, piece: Piece) -> bool:
        """Whether the piece is among them."""
        ...


@dataclass(frozen=True)
class Kinds:
    """All pieces of some kinds.

    >>> Kinds(heads=True).holds(Piece("head", 3)), Kinds(heads=True).holds(Piece("final", 4))
    (True, False)
    """

    backbone: bool = False
    final: bool = False
    heads: bool = False

    def holds(self, piece: Piece) -> bool:
        """Whether its kind is chosen."""
        return {"backbone": self.backbone, "final": self.final, "head": self.heads}[piece.kind]


@dataclass(frozen=True)
class UpTo:
    """Everything that exit `exit_index` depends on, its head included, but not what exit `after` depends on.

    Heads of the exits between count as well; the number of inner exits as `exit_index` means to the end.

    >>> [UpTo(2, after=0).holds(Piece("backbone", stage)) for stage in range(4)]
    [False, True, True, False]
    """

    exit_index: int
    after: int = -1

    def holds(self, piece: Piece) -> bool:
        """Whether its stage is between."""
        return self.after < piece.stage <= self.exit_index


ALL = Kinds(backbone=True, final=True, heads=True)
"""Everything learns."""

PLAIN = Kinds(backbone=True, final=True)
"""The user's model learns, as it would without exits."""

HEADS = Kinds(heads=True)
"""The heads learn on a frozen backbone."""
