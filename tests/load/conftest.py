"""Files that the loaders read, and the shared data where it is present."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks import torchvision_shim
from PIL import Image

torchvision_shim.install()

SHARED = Path(os.environ.get("OFFRAMP_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()


@pytest.fixture
def shared() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"no {name} in the shared data; set OFFRAMP_DATA")
        return path

    return find


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A smooth picture, so that JPEG and interpolation keep it recognisable."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Five pictures in the classes cat (2) and dog (3), one of them deeper."""
    root = tmp_path / "pictures"
    for seed, name in enumerate(["cat/a.png", "cat/b.PNG", "dog/c.jpg", "dog/d.png", "dog/more/e.png"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(root / name)
    (root / "readme.txt").write_text("not a picture")
    (root / "dog" / "._d.png").write_bytes(b"resource fork")
    return root
