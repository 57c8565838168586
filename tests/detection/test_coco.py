"""The archive read by our code, against the outlines it also holds, and small archives made here."""

import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from benchmarks.detection.coco import Coco, read
from PIL import Image

COLOURS = {7: (250, 10, 10), 12: (10, 250, 10), 30: (10, 10, 250)}


def entry(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, BytesIO(content))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three pictures of one colour each, the second without labels; labels of a picture that is not there."""
    path = tmp_path / "small.tar"
    with tarfile.open(path, "w") as archive:
        for number, colour in reversed(COLOURS.items()):
            content = BytesIO()
            Image.new("RGB", (60, 40), colour).save(content, "PNG")
            entry(archive, f"images/train2017/{number:012d}.jpg", content.getvalue())
        entry(archive, "object_detection/config.yaml", b"path: .\nnames:\n  0: person\n  1: hot dog\n  2: tv\n")
        labels = {7: "1 0.5 0.5 0.5 0.25\n0 0.1 0.9 0.4 0.2\n", 30: "0 0.5 0.5 1 1\n", 99: "2 0.5 0.5 1 1\n"}
        for number, text in labels.items():
            entry(archive, f"object_detection/labels/train2017/{number:012d}.txt", text.encode())
    return path


def test_a_small_archive(small: Path) -> None:
    coco = read(small, size=(20, 30))
    assert coco.names == ("person", "hot dog", "tv")
    assert coco.ids == (7, 12, 30)
    assert coco.pictures.shape == (3, 20, 30, 3)
    assert coco.pictures.mean(axis=(1, 2)).tolist() == [list(map(float, colour)) for colour in COLOURS.values()]
    assert [labels.tolist() for labels in coco.labels] == [[1, 0], [], [0]]
    np.testing.assert_allclose(coco.boxes[0], [[0.25, 0.375, 0.75, 0.625], [0.0, 0.8, 0.3, 1.0]])  # cut at the border
    assert coco.boxes[1].shape == (0, 4)
    assert [coco.presence(name).tolist() for name in ("person", "hot dog", "tv")] == [
        [True, False, True],
        [True, False, False],
        [False, False, False],
    ]
    assert read(small, most=2).ids == (7, 12)


def test_the_shared_pictures(coco: Coco) -> None:
    assert len(coco) == 128
    assert len(coco.names) == 80
    assert (coco.names[0], coco.names[16], coco.names[79]) == ("person", "dog", "toothbrush")
    assert coco.pictures.shape == (128, 352, 352, 3)
    assert sum(len(labels) == 0 for labels in coco.labels) == 2
    assert coco.presence("person").sum() == 61
    assert all((boxes[:, :2] < boxes[:, 2:]).all() for boxes in coco.boxes)


def test_boxes_go_round_the_outlines_of_the_same_pictures(coco: Coco, archive: Path) -> None:
    """Outlines are kept apart from boxes, by categories that skip numbers; of these the first is a person, too."""
    boxed = dict(zip(coco.ids, zip(coco.boxes, coco.labels, strict=True), strict=True))
    agreeing = persons = 0
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            if not (member.isfile() and member.name.startswith("instance_segmentation/labels")):
                continue
            boxes, labels = boxed[int(Path(member.name).stem)]
            file = opened.extractfile(member)
            assert file is not None
            for line in file.read().decode().splitlines():
                category, *numbers = line.split()
                if category != "1":
                    continue
                corners = np.array(numbers[: len(numbers) // 2 * 2], float).reshape(-1, 2)
                around = np.concatenate((corners.min(0), corners.max(0)))
                persons += 1
                agreeing += bool((np.abs(boxes[labels == 0] - around).max(1) < 0.01).any())
    assert persons == 209
    assert agreeing >= 0.95 * persons
