"""The shared pictures and weights where they are present."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.detection.check import FACTORY, answers
from benchmarks.detection.coco import Coco, read

from offramp.load.models import LoadedModel, load_model

FOLDER = Path(os.environ.get("OFFRAMP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "detection"
ARCHIVE, WEIGHTS = FOLDER.resolve() / "coco128_train2017_dev.tar", FOLDER.resolve() / "fastestdet_coco.pth"


def shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no detection/{path.name} in the shared data; set OFFRAMP_DATA")
    return path


@pytest.fixture(scope="session")
def archive() -> Path:
    return shared(ARCHIVE)


@pytest.fixture(scope="session")
def coco(archive: Path) -> Coco:
    return read(archive)


@pytest.fixture(scope="session")
def detector() -> LoadedModel:
    return load_model(FACTORY, shared(WEIGHTS))


@pytest.fixture(scope="session")
def raw(detector: LoadedModel, coco: Coco) -> np.ndarray:
    """The detector's answers to all pictures."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return answers(detector, coco)
    finally:
        torch.set_num_threads(before)
