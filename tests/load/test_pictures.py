import subprocess
import sys

import numpy as np
from PIL import Image

from offramp.load.pictures import INTERPOLATIONS, from_pixels, is_picture, resized


def test_pillow_knows_every_interpolation() -> None:
    assert {name.upper() for name in INTERPOLATIONS} <= set(Image.Resampling.__members__)


def test_pictures_are_told_from_other_things_and_resized_to_height_and_width() -> None:
    picture = from_pixels(np.zeros((4, 6, 3), np.uint8))
    assert is_picture(picture)
    assert not is_picture(np.zeros((4, 6, 3), np.uint8))
    found = resized(picture, 8, 5, "nearest")
    assert (found.height, found.width) == (8, 5)


def test_tensors_are_opened_without_pillow() -> None:
    script = (
        "import sys, torch, offramp; source = offramp.open_source([(torch.zeros(3), 0)] * 4); source.labels(); "
        "assert len(source.inputs(__import__('numpy').arange(2))) == 2; assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
