"""The interface of a searcher."""

from typing import Protocol, runtime_checkable

from offramp.types import Configuration, ExitTable, Goal


@runtime_checkable
class Searcher(Protocol):
    """Chooses configurations from recorded outputs alone."""

    def search(self, table: ExitTable, goal: Goal) -> list[Configuration]:
        """Configurations from the safest, which never leaves early, to the cheapest; each cheaper than the
        one before.

        The order is the path along which `decide.certify` tests them on another split.
        """
        ...
