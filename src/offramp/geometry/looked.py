"""Several trainings of one network, and the data they are looked at with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from offramp.analyze.barrier import barrier
from offramp.geometry.settings import Settings
from offramp.geometry.sight import Sight
from offramp.geometry.weights import Weights
from offramp.kept_parts import KeptParts
from offramp.model.fingerprint import state_fingerprint
from offramp.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Looked:
    """What the parts of an analysis are about.

    Attributes:
        sight: the network, whose weights are replaced, and the data.
        models: weights by name, all of this network.
        layers: where ranks and information are taken.
        settings: how closely.
        kept: what was found before.
        progress: told how far each part is.
    """

    sight: Sight
    models: Mapping[str, Weights]
    layers: tuple[str, ...]
    settings: Settings
    kept: KeptParts
    progress: Progress = silent

    def digest(self, name: str) -> str:
        """Names the weights of a model."""
        return state_fingerprint("", self.models[name])

    def each(self, part: str, settings: tuple[object, ...], work: Callable[[str], Any]) -> dict[str, Any]:
        """What `work` finds of every model, or found before with these settings."""
        found = {}
        for done, name in enumerate(self.models):
            depends = (*settings, self.digest(name))
            found[name] = self.kept.once(part, depends, lambda name=name: work(name))  # type: ignore[misc]
            self.progress(part, done + 1, len(self.models))
        return found


def plain(values: Any) -> Any:
    """An array as lists for JSON, with None for what is not finite.

    >>> plain(np.array([[1.0, np.nan]]))
    [[1.0, None]]
    """
    wide = np.asarray(values, np.float64)
    found = wide.astype(object)
    found[~np.isfinite(wide)] = None
    return found.tolist()


def risen(losses: list[float | None]) -> dict[str, float] | None:
    """The barrier of losses on a line; None where one was not finite."""
    known = [loss for loss in losses if loss is not None]
    if len(known) < len(losses):
        return None
    found = barrier(known)
    return {"height": found.height, "at": found.at}
