import numpy as np
import pytest
import torch
from benchmarks.detection.nms import kept, overlaps
from benchmarks.torchvision_shim import install_detection


def boxes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes on a coarse grid, so that many are equal or touch, with few different scores."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(0, 7, (count, 2, 2)), axis=1).astype(np.float32)
    return corners.reshape(count, 4), rng.integers(0, 9, count).astype(np.float32) / 9


def naive(found: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """One pair after the other, in cells of a grid: all corners are whole numbers below 7."""

    def cells(box: np.ndarray) -> set[tuple[int, int]]:
        left, top, right, bottom = map(int, box)
        return {(x, y) for x in range(left, right) for y in range(top, bottom)}

    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    good: list[int] = []
    for index in order:
        mine = cells(found[index])
        for other in good:
            theirs = cells(found[other])
            if mine | theirs and len(mine & theirs) / len(mine | theirs) > overlap:
                break
        else:
            good.append(index)
    return good


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 1.0])
def test_kept_boxes_are_those_of_the_naive_way(seed: int, overlap: float) -> None:
    found, scores = boxes(seed, 40)
    assert kept(found, scores, overlap).tolist() == naive(found, scores, overlap)


def test_of_nothing_nothing_is_kept() -> None:
    assert kept(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)


def test_overlaps_by_hand() -> None:
    others = np.array([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 3.0, 3.0], [5.0, 5.0, 5.0, 5.0]])
    assert overlaps(np.array([0.0, 0.0, 2.0, 2.0]), others).tolist() == pytest.approx([1 / 3, 1.0, 0.0, 0.0])


def test_torchvision_keeps_the_same_of_each_class() -> None:
    """Its own operator where it has one; else its way around ours for several classes, which shifts them apart."""
    install_detection()
    from torchvision.ops import batched_nms, nms

    found, scores = boxes(3, 60)
    scores += np.arange(60, dtype=np.float32) / 1e4  # all different, since the order of equal ones is not promised
    tensors = torch.from_numpy(found), torch.from_numpy(scores)
    assert nms(*tensors, 0.4).tolist() == naive(found, scores, 0.4)
    classes = torch.arange(60) % 3
    expected = [index for k in range(3) for index in classwise(found, scores, (classes == k).numpy())]
    assert sorted(batched_nms(*tensors, classes, 0.4).tolist()) == sorted(expected)


def classwise(found: np.ndarray, scores: np.ndarray, mine: np.ndarray) -> list[int]:
    index = np.flatnonzero(mine)
    return [int(index[good]) for good in naive(found[index], scores[index], 0.4)]
