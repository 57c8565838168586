import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.datasets import ImageFolder

from offramp.errors import DataError, InputError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.sources import open_source

from .conftest import picture

SMALL = ImagePreprocess(size=(8, 8), resize=10, crop=True)


def pack(folder: Path, tar: Path) -> Path:
    with tarfile.open(tar, "w") as archive:
        archive.add(folder, arcname=".")
    return tar


def test_a_folder_is_an_image_folder(image_folder: Path) -> None:
    source = open_source(str(image_folder), SMALL)
    theirs = ImageFolder(str(image_folder), is_valid_file=lambda path: "._" not in path and "txt" not in path)
    assert len(source) == 5
    assert sorted(source.labels().tolist()) == sorted(theirs.targets)
    assert_close(source.inputs(np.array([3, 0])), torch.stack([SMALL(theirs[i][0]) for i in (3, 0)]))


def test_a_tar_is_its_folder(image_folder: Path, tmp_path: Path) -> None:
    folder, tar = open_source(image_folder, SMALL), open_source(pack(image_folder, tmp_path / "p.tar"), SMALL)
    some = np.array([4, 1, 1])
    assert_close(tar.inputs(some), folder.inputs(some))
    assert tar.labels().tolist() == folder.labels().tolist() == [0, 0, 1, 1, 1]


def test_labels_from_a_csv(image_folder: Path, tmp_path: Path) -> None:
    rows = "\n".join(f"{name},{index}" for index, name in enumerate(["a.png", "b.PNG", "c.jpg", "d.png", "e.png"]))
    (tmp_path / "l.csv").write_text(f"file,class_index\n{rows}\n")
    assert open_source(image_folder, SMALL, labels=tmp_path / "l.csv").labels().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("tar", "table"), [("p.tar", "p.csv"), ("images_x.tar", "labels_x.csv")])
def test_labels_from_a_csv_beside_a_tar(tmp_path: Path, tar: str, table: str) -> None:
    (tmp_path / "flat").mkdir()
    picture(0).save(tmp_path / "flat" / "a.png")
    source = open_source(pack(tmp_path / "flat", tmp_path / tar), SMALL)
    with pytest.raises(DataError, match=r"'a.png' is in no class folder"):
        source.labels()
    (tmp_path / table).write_text("file,class_index\na.png,7\n")
    assert source.labels().tolist() == [7]


def test_loose_pictures_have_no_labels(image_folder: Path) -> None:
    shutil.copy(image_folder / "cat" / "a.png", image_folder / "loose.png")
    source = open_source(image_folder, SMALL)
    assert source.inputs(np.array([len(source) - 1])).shape == (1, 3, 8, 8)  # type: ignore[union-attr]
    with pytest.raises(
        DataError, match=r"'loose.png' is in no class folder; sort the images into one folder per class"
    ):
        source.labels()


def test_a_missing_csv_only_matters_to_labels(image_folder: Path) -> None:
    source = open_source(image_folder, SMALL, labels="none.csv")
    assert source.fingerprint()
    with pytest.raises(InputError, match=r"expected a csv of labels at 'none.csv'"):
        source.labels()


def test_grey_palette_and_transparent_pictures(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "1"):
        picture(0).convert(mode).save(tmp_path / f"{mode}.png")
    batch = open_source(tmp_path, SMALL).inputs(np.arange(4))
    assert isinstance(batch, torch.Tensor)
    assert batch.shape == (4, 3, 8, 8)


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_damaged_picture_is_named(image_folder: Path, content: bytes | None) -> None:
    path = image_folder / "dog" / "c.jpg"
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    source = open_source(image_folder, SMALL)
    with pytest.raises(DataError, match=r"expected a picture, 'dog/c.jpg' in .* is damaged"):
        source.inputs(np.arange(5))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"expected pictures \(.bmp, .*\) in .*, got none"):
        open_source(tmp_path, SMALL)


def test_a_tar_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match=r"expected an uncompressed tar, .*x.tar' is none"):
        open_source(tmp_path / "x.tar", SMALL)


def test_pictures_need_preprocessing(image_folder: Path) -> None:
    with pytest.raises(DataError, match=r"preprocessing for the pictures in .*give --mean, --std and --size"):
        open_source(image_folder)


def test_sizes_must_agree(image_folder: Path) -> None:
    picture(0, 44, 30).save(image_folder / "cat" / "a.png")
    with pytest.raises(DataError, match=r"expected pictures of one size"):
        open_source(image_folder, ImagePreprocess()).inputs(np.arange(5))


def test_the_fingerprint_follows_names_and_sizes(image_folder: Path, tmp_path: Path) -> None:
    first = open_source(image_folder, SMALL).fingerprint()
    assert open_source(image_folder, ImagePreprocess()).fingerprint() == first
    shutil.copytree(image_folder, tmp_path / "copy")
    assert open_source(tmp_path / "copy", SMALL).fingerprint() == first
    Image.new("RGB", (3, 3)).save(tmp_path / "copy" / "cat" / "a.png")
    assert open_source(tmp_path / "copy", SMALL).fingerprint() != first


def test_imagenet_labels_lie_beside_the_pictures(shared: Callable[[str], Path]) -> None:
    source = open_source(shared("imagenet_val/images_dev650.tar"), SMALL)
    assert len(source) == len(source.labels()) == 650
    assert source.labels()[0] == 300


def test_tiny_imagenet_counts_its_folders(shared: Callable[[str], Path]) -> None:
    labels = open_source(shared("tiny_imagenet/train_50_per_class.tar"), SMALL).labels()
    assert np.bincount(labels).tolist() == [50] * 200
