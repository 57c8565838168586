"""ORL and MobileFaceNet where they are, and made-up faces for what needs none."""

import os
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faces.orl import FACES, WEIGHTS, Faces, faces

SHARED = Path(os.environ.get("OFFRAMP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def orl() -> Faces:
    if not (SHARED / FACES).exists():
        pytest.skip(f"no {FACES} in the shared data; set OFFRAMP_DATA")
    return faces(SHARED)


@pytest.fixture(scope="session")
def weights() -> Path:
    if not (SHARED / WEIGHTS).exists():
        pytest.skip(f"no {WEIGHTS} in the shared data; set OFFRAMP_DATA")
    return SHARED / WEIGHTS


@pytest.fixture(scope="session")
def made_up() -> Faces:
    """As many as ORL has, of its size; noise."""
    pictures = np.random.default_rng(0).integers(0, 256, (200, 112, 92), dtype=np.uint8)
    return Faces(pictures, np.repeat(np.arange(20), 10))
