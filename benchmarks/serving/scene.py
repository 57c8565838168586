"""What the benchmarks of the server share: ResNet-56 with its exits as exported stages, and images for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offramp.bundle import Bundle
from offramp.exporting import export
from offramp.load.combine import subset
from offramp.load.models import load_model
from offramp.load.sources import open_source


@dataclass(frozen=True, eq=False)
class Scene:
    """A model that can be served.

    Attributes:
        stages: exported.
        images: of the report part, which trained and chose nothing, as the network takes them.
        bundle: attached.
    """

    stages: Path
    images: np.ndarray
    bundle: Bundle


def scene(config: Mapping[str, Any], data: Path, work: Path) -> Scene:
    """The bundle of a config; its stages are exported once."""
    loaded = load_model(config["model"], data / config["weights"])
    source = open_source(str(data / config["data"]), loaded.preprocess)
    bundle = Bundle.load(Path(config["bundle"])).attach(loaded.model)
    stages = work / "stages"
    if not (stages / "routing.json").exists():
        export(bundle, stages, config["points"])
    report = subset(source, bundle.splits["report"])
    with torch.no_grad():
        images = report.inputs(np.arange(len(report)))
    assert isinstance(images, torch.Tensor)
    return Scene(stages, images.numpy(), bundle)
