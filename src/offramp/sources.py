"""What a source of inputs is: a sequence of samples, fetched by index, whose labels are read only on request."""

from typing import Protocol, runtime_checkable

import numpy as np

from offramp.arrays import Num
from offramp.inputs import Inputs

Labels = Num[np.ndarray, "samples ..."]
"""A class index for each sample, or what else the task takes: see `tasks.task.Task.checked`."""


@runtime_checkable
class Source(Protocol):
    """Preprocessed samples by index.

    Attributes:
        name: how the source is called in messages and manifests.
    """

    @property
    def name(self) -> str:
        """How the source is called in messages and manifests."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def fingerprint(self) -> str:
        """A hash of the contents."""
        ...

    def inputs(self, indices: np.ndarray) -> Inputs:
        """The samples at `indices`, as the model takes them."""
        ...

    def labels(self) -> Labels:
        """The labels of all samples.

        Raises:
            DataError: if there are none.
        """
        ...
