import numpy as np
import pytest
from benchmarks.detection.coco import Coco
from benchmarks.detection.fastestdet import Detections
from benchmarks.detection.scoring import Presence, average_precision, mean_average_precision

LEFT, RIGHT, AWAY = [0.0, 0.0, 0.4, 1.0], [0.6, 0.0, 1.0, 1.0], [0.45, 0.0, 0.55, 1.0]


def found(*told: tuple[list[float], float, int]) -> Detections:
    boxes = np.array([box for box, _, _ in told], np.float64).reshape(-1, 4)
    return Detections(boxes, np.array([s for _, s, _ in told], np.float64), np.array([k for *_, k in told], np.int64))


@pytest.fixture
def coco() -> Coco:
    """A picture with two objects of class 0, one with one of class 0 and one of class 1."""
    boxes = np.array([LEFT, RIGHT])
    pictures = np.zeros((2, 4, 4, 3), np.uint8)
    return Coco(("a", "b", "c"), (1, 2), pictures, (boxes, boxes), (np.array([0, 0]), np.array([0, 1])))


def test_presence_by_hand() -> None:
    said, true = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 1], bool)
    assert Presence.of(said, true) == Presence(precision=2 / 3, recall=0.5, f1=4 / 7)
    nothing = np.zeros(3, bool)
    assert Presence.of(nothing, nothing) == Presence(0.0, 0.0, 0.0)


def test_all_found_is_one(coco: Coco) -> None:
    told = [found((LEFT, 0.9, 0), (RIGHT, 0.8, 0)), found((RIGHT, 0.9, 1), (LEFT, 0.7, 0))]
    assert mean_average_precision(told, coco) == 1.0


def test_average_precision_by_hand(coco: Coco) -> None:
    """Right, beside it, the first again, right, one never found: precision 1 to recall 1/3, and 1/2 to 2/3."""
    told = [found((LEFT, 0.9, 0), (AWAY, 0.8, 0), (LEFT, 0.7, 0)), found((LEFT, 0.6, 0), (AWAY, 0.5, 2))]
    assert average_precision(told, coco, 0) == pytest.approx((1 + 1 / 2) / 3)
    assert average_precision(told, coco, 1) == 0.0
    assert mean_average_precision(told, coco) == pytest.approx((1 + 1 / 2) / 6)  # class 2 is in no picture


def test_precision_is_made_falling(coco: Coco) -> None:
    """A wrong one first: precision is 1/2, then 2/3, which counts for both."""
    told = [found((AWAY, 0.9, 0), (LEFT, 0.8, 0), (RIGHT, 0.7, 0)), found()]
    assert average_precision(told, coco, 0) == pytest.approx(2 * (2 / 3) / 3)


def test_boxes_count_from_the_overlap_asked_for(coco: Coco) -> None:
    half = [0.0, 0.0, 0.4, 0.55]
    assert average_precision([found((half, 0.9, 0)), found()], coco, 0, overlap=0.5) == pytest.approx(1 / 3)
    assert average_precision([found((half, 0.9, 0)), found()], coco, 0, overlap=0.6) == 0.0
