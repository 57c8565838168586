"""Whether FastestDet is what its authors published: presence and boxes on 128 pictures, and where its work lies.

    python -m benchmarks.detection.check

prints JSON. The data is looked for in $OFFRAMP_DATA or ../shared/data. The pictures are of the part of COCO that the
detector was trained on, so it does better on them than on others (25.3 % mAP at an overlap of .5 is published for
val2017).
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.detection.coco import Coco, read
from benchmarks.detection.fastestdet import detections, presence
from benchmarks.detection.scoring import Presence, mean_average_precision
from offramp.load.models import LoadedModel, load_model
from offramp.machine import machine

FACTORY = f"{Path(__file__).with_name('fastestdet.py')}:fastestdet"

THRESHOLDS = (0.3, 0.4, 0.5, 0.65)

LEAST = 0.001
"""Scores below are nothing where average precision is meant."""

ENDS = ("backbone.first_conv", "backbone.stage2", "backbone.stage3", "backbone.stage4", "SPP", "detect_head")

BATCH = 16


def main() -> None:
    """Prints machine and figures."""
    folder = Path(os.environ.get("OFFRAMP_DATA", "../shared/data")) / "detection"
    loaded = load_model(FACTORY, folder / "fastestdet_coco.pth")
    coco = read(folder / "coco128_train2017_dev.tar")
    raw = answers(loaded, coco)
    person = coco.presence("person")
    scores = presence(torch.from_numpy(raw))[:, coco.names.index("person")].numpy()
    found = [detections(one, least=LEAST) for one in raw]
    figures = {
        "machine": machine("pillow"),
        "pictures": len(coco),
        "with a person": int(person.sum()),
        "person": {threshold: asdict(Presence.of(scores >= threshold, person)) for threshold in THRESHOLDS},
        "mAP50": mean_average_precision(found, coco),
        **work(loaded.model),
    }
    print(json.dumps(figures, indent=1))


def answers(loaded: LoadedModel, coco: Coco) -> Float[np.ndarray, "N 85 22 22"]:
    """What the detector says of each picture."""
    preprocess: Any = loaded.preprocess
    parts = np.array_split(coco.pictures, -(-len(coco) // BATCH))
    with torch.inference_mode():
        return np.concatenate([loaded.model(preprocess.batch(part)).numpy() for part in parts])


def work(model: nn.Module) -> dict[str, Any]:
    """MACs for one picture, and the share of them done when each part of the network ends."""
    ends: dict[str, int] = {}
    with FlopCounterMode(display=False) as counter:
        handles = [
            model.get_submodule(name).register_forward_hook(
                lambda *_, name=name: ends.update({name: counter.get_total_flops()})
            )
            for name in ENDS
        ]
        with torch.inference_mode():
            model(torch.zeros(1, 3, 352, 352))
    for handle in handles:
        handle.remove()
    total = counter.get_total_flops()
    return {"MMACs": total / 2e6, "share of them up to": {name: flops / total for name, flops in ends.items()}}


if __name__ == "__main__":
    main()
