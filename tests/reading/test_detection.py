from types import SimpleNamespace
from typing import Any

import pytest
import torch

from offramp.errors import CaptureError
from offramp.reading import full_of, reader
from offramp.tasks.detection import Detection

BOXES = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
SCORES = torch.tensor([[0.9, 0.2, 0.6, 0.0], [0.3, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
LABELS = torch.tensor([[2, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
CLASSES = torch.nn.functional.one_hot(LABELS, 3) * 0.8 + 0.1
EACH = [
    {"boxes": BOXES[0, :3], "scores": SCORES[0, :3], "labels": LABELS[0, :3]},
    {"boxes": BOXES[1, :2], "scores": SCORES[1, :2], "labels": LABELS[1, :2]},
    {"boxes": BOXES[2, :0], "scores": SCORES[2, :0], "labels": LABELS[2, :0]},
]


def said(task: Detection, output: Any) -> torch.Tensor:
    return reader(task)(output).softmax(dim=1)


@pytest.mark.parametrize(
    "output",
    [
        {"boxes": BOXES, "scores": SCORES, "classes": CLASSES},
        {"boxes": BOXES, "scores": SCORES, "labels": LABELS},
        EACH,
        tuple(EACH),
    ],
)
@pytest.mark.parametrize(("label", "expected"), [(0, [0.6, 0.3, 1e-4]), (2, [0.9, 1e-4, 1e-4]), (1, [1e-4] * 3)])
def test_presence_is_the_most_certain_detection_of_the_class(output: Any, label: int, expected: list[float]) -> None:
    found = said(Detection("present", label), output)
    torch.testing.assert_close(found[:, 1], torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_the_score_that_counts_is_even() -> None:
    found = said(Detection("present", 0, at=0.6), EACH)
    assert found[0, 1].item() == pytest.approx(0.5)
    assert found[1, 1].item() < 0.5


def test_top_is_the_class_of_the_most_certain_object() -> None:
    found = said(Detection("top"), {"scores": SCORES, "classes": CLASSES})
    torch.testing.assert_close(found[0], torch.tensor([1.1, 0.9, 0.9, 8.1]) / 11, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found[1], torch.tensor([7.7, 2.7, 0.3, 0.3]) / 11, rtol=1e-3, atol=1e-3)
    assert found.argmax(1).tolist() == [3, 0, 0]


def test_all_is_the_mean_of_those_that_count() -> None:
    found = said(Detection("all"), {"scores": SCORES, "classes": CLASSES})
    torch.testing.assert_close(found[0], torch.tensor([0.0, 5.0, 1.0, 5.0]) / 11, rtol=1e-3, atol=1e-3)
    assert found.argmax(1).tolist()[1:] == [0, 0]


def test_detections_of_transformers() -> None:
    logits = torch.tensor([[[4.0, 0.0, 0.0], [0.0, 0.0, 5.0]], [[0.0, 0.0, 5.0], [0.0, 0.0, 5.0]]])
    output = SimpleNamespace(logits=logits, pred_boxes=BOXES[:2, :2])
    found = said(Detection("present", 0), output)
    torch.testing.assert_close(found[0, 1], logits[0, 0].softmax(0)[0])
    assert found[1, 1] < 0.02
    assert set(full_of(reader(Detection()), output)) == {"boxes", "scores", "classes"}


def test_full_results_of_differing_numbers_are_filled_up() -> None:
    full = full_of(reader(Detection("present", 0)), EACH)
    assert {name: tuple(value.shape) for name, value in full.items()} == {
        "boxes": (3, 3, 4),
        "scores": (3, 3),
        "labels": (3, 3),
    }
    torch.testing.assert_close(full["boxes"][1, :2], BOXES[1, :2])
    assert full["scores"][1, 2] == 0


@pytest.mark.parametrize(
    ("task", "output", "message"),
    [
        (Detection(), torch.zeros(2, 3), "expected detections .*, got Tensor in the model's output"),
        (Detection(), {"boxes": BOXES}, "expected detections .*, got boxes in"),
        (Detection(), {"scores": SCORES}, "expected detections .*, got scores in"),
        (Detection(), EACH, "expected probabilities of all classes .* got labels alone"),
        (Detection("present", 9), {"scores": SCORES, "classes": CLASSES}, r"expected a class in 0\.\.2"),
        (Detection(), [], "expected detections"),
    ],
)
def test_other_outputs_are_refused(task: Detection, output: Any, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        reader(task)(output)
