"""What an endpoint puts its samples into."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from offramp.serve.batcher import Batching
from offramp.serve.health import Health
from offramp.serve.sample import Sample


@runtime_checkable
class Answering(Protocol):
    """What runs samples and tells them their answers: `Engine`, or one that hands them on to other processes."""

    @property
    def batching(self) -> Batching:
        """How samples come together."""
        ...

    @property
    def open(self) -> bool:
        """Whether it takes samples."""
        ...

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        ...

    @property
    def idle(self) -> bool:
        """Whether all that was taken is answered."""
        ...

    @property
    def health(self) -> Health:
        """Whether the model works."""
        ...

    def takes(self, members: int) -> bool:
        """Whether there is room for so many samples now."""
        ...

    def submit(self, members: Sequence[Sample]) -> None:
        """Takes all of them, or none.

        Raises:
            BusyError: if there is no room for them now.
            TooLargeError: if there never is.
        """
        ...

    def refuse(self) -> None:
        """Takes nothing more; what was taken is still answered."""
        ...

    def close(self, timeout: float | None = None) -> bool:
        """The same, and waits for it; True where all was answered within so many seconds."""
        ...
