from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch.testing import assert_close

from offramp.errors import DataError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.sources import open_source

PLAIN = ImagePreprocess()
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)


def test_pictures_and_labels(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x=IMAGES, y=[3, 2, 1, 0])
    source = open_source(str(tmp_path / "d.npz"), PLAIN)
    assert_close(source.inputs(np.array([3, 1])), PLAIN.batch(IMAGES[[3, 1]]))
    assert source.labels().tolist() == [3, 2, 1, 0]
    assert source.fingerprint() == open_source(IMAGES, PLAIN).fingerprint()
    assert source.name == str(tmp_path / "d.npz")


def test_labels_stay_on_disk_until_asked_for(tmp_path: Path) -> None:
    unreadable = np.array([{}, None, 3, "x"], dtype=object)
    np.savez(tmp_path / "d.npz", x=IMAGES.astype(np.float32), y=unreadable)
    source = open_source(tmp_path / "d.npz")
    assert source.fingerprint()
    source.inputs(np.arange(4))
    with pytest.raises(DataError, match=r"expected a plain array 'y'"):
        source.labels()


def test_labels_must_be_as_many(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=IMAGES, y=[1, 2])
    with pytest.raises(DataError, match=r"expected 4 labels in .*d.npz, one per sample, got 2"):
        open_source(tmp_path / "d.npz", PLAIN).labels()


def test_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=IMAGES)
    with pytest.raises(DataError, match=r"expected labels in .*d.npz, got none; add an array y"):
        open_source(tmp_path / "d.npz", PLAIN).labels()


def test_without_x(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=[1])
    with pytest.raises(DataError, match=r"expected an array 'x' in .*d.npz', got images, labels; save it as x="):
        open_source(tmp_path / "d.npz", PLAIN)


def test_ragged_pictures(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array([IMAGES[0], IMAGES[0, :2]], dtype=object))
    with pytest.raises(DataError, match=r"expected a plain array 'x' in .*different sizes.*one shape"):
        open_source(tmp_path / "d.npz", PLAIN)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_damaged_files(tmp_path: Path, share: float) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=IMAGES)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"expected a .npz file, .*d.npz' is damaged"):
        open_source(path, PLAIN)


def test_damaged_contents(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, x=IMAGES)
    content = bytearray(path.read_bytes())
    content[150:170] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected a .npz file"):
        open_source(path, PLAIN)


def test_an_array_file_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "d.npz").open("wb") as stream:
        np.save(stream, IMAGES)
    with pytest.raises(DataError, match=r"expected a .npz file"):
        open_source(tmp_path / "d.npz", PLAIN)


def test_cifar(shared: Callable[[str], Path]) -> None:
    source = open_source(shared("cifar10/cifar10_test_dev.npz"), PLAIN)
    assert len(source) == 5000
    assert source.labels().max() == 9
