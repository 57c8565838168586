import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from benchmarks.detection.check import answers, work
from benchmarks.detection.coco import Coco
from benchmarks.detection.fastestdet import FastestDet, decode, detections, fastestdet, presence
from benchmarks.detection.scoring import Presence, mean_average_precision

from offramp.load.models import LoadedModel
from offramp.load.weights import load_state
from offramp.model.points import analyse
from tests.detection.conftest import WEIGHTS, shared


@pytest.fixture(scope="module")
def untrained() -> Iterator[FastestDet]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield fastestdet().eval()


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def random_answers(seed: int, count: int = 1, side: int = 5) -> torch.Tensor:
    """Answers with large boxes of three likely classes, so that boxes of one class overlap."""
    rng = torch.Generator().manual_seed(seed)
    raw = torch.randn(count, 85, side, side, generator=rng)
    raw[:, 0] = raw[:, 0].sigmoid()
    raw[:, 3:5] += 2
    raw[:, 5:8] += 4
    raw[:, 5:] = raw[:, 5:].softmax(1)
    return raw


def by_hand(raw: np.ndarray) -> list[tuple[list[float], float, int]]:
    """Box, score and class of each cell of one picture, a number at a time."""
    _, rows, columns = raw.shape
    found = []
    for row in range(rows):
        for column in range(columns):
            objectness, x, y, w, h, *classes = map(float, raw[:, row, column])
            middle = ((column + math.tanh(x)) / columns, (row + math.tanh(y)) / rows)
            width, height = sigmoid(w), sigmoid(h)
            box = [middle[0] - width / 2, middle[1] - height / 2, middle[0] + width / 2, middle[1] + height / 2]
            found.append((box, objectness**0.6 * max(classes) ** 0.4, classes.index(max(classes))))
    return found


def test_decoding_is_that_by_hand() -> None:
    raw = random_answers(1, side=4)[:, :, :3]  # three rows, four columns
    boxes, scores, classes = decode(raw)
    expected = by_hand(raw[0].numpy())
    np.testing.assert_allclose(boxes[0], [box for box, _, _ in expected], atol=1e-6)
    np.testing.assert_allclose(scores[0], [score for _, score, _ in expected], atol=1e-6)
    assert classes[0].argmax(1).tolist() == [label for _, _, label in expected]
    torch.testing.assert_close(classes.sum(2), torch.ones(1, 12))


def area(box: list[float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def shared_area(one: list[float], other: list[float]) -> float:
    return area([max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])])


@pytest.mark.parametrize("seed", range(5))
def test_detections_are_those_of_the_naive_way(seed: int) -> None:
    raw = random_answers(seed, side=9)[0].numpy()
    good: list[tuple[list[float], float, int]] = []
    for box, score, label in sorted(by_hand(raw), key=lambda one: -one[1]):
        both = [(shared_area(box, other), area(box) + area(other)) for other, _, theirs in good if theirs == label]
        if score >= 0.5 and all(part / (total - part) <= 0.4 for part, total in both):
            good.append((box, score, label))
    found = detections(raw, least=0.5, overlap=0.4)
    assert 3 <= len(good) < sum(score >= 0.5 for _, score, _ in by_hand(raw))
    assert found.labels.tolist() == [label for _, _, label in good]
    np.testing.assert_allclose(found.scores, [score for _, score, _ in good], atol=1e-6)
    np.testing.assert_allclose(found.boxes, np.clip([box for box, _, _ in good], 0, 1), atol=1e-6)


def test_nothing_is_found_where_nothing_is_certain() -> None:
    found = detections(random_answers(0)[0].numpy(), least=1.0)
    assert (found.boxes.shape, found.scores.shape, found.labels.shape) == ((0, 4), (0,), (0,))


def test_presence_is_the_best_score_of_each_class() -> None:
    raw = random_answers(2, count=3)
    for row, one in zip(presence(raw), raw, strict=True):
        found = detections(one.numpy(), least=0.0, overlap=0.45)
        best = [
            max((s for s, k in zip(found.scores, found.labels, strict=True) if k == c), default=0) for c in range(80)
        ]
        np.testing.assert_allclose(row, best, atol=1e-6)


@pytest.mark.slow
def test_any_batch_can_be_exported(untrained: FastestDet) -> None:
    example = torch.rand(2, 3, 352, 352, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(untrained, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for batch in (example, example[:1], example[[1, 0, 1]]):
        with torch.inference_mode():
            found = untrained(batch)
            assert found.shape == (len(batch), 85, 22, 22)
            torch.testing.assert_close(program.module()(batch), found)


def test_work_and_places_to_leave(untrained: FastestDet) -> None:
    """The stem is 24 filters of 27 numbers at 176x176 places; the rest is counted in two ways."""
    counted, backbone = work(untrained), analyse(untrained, torch.rand(2, 3, 352, 352), lambda output: output)
    shares = counted["share of them up to"]
    assert shares["backbone.first_conv"] * counted["MMACs"] == pytest.approx(24 * 27 * 176**2 / 1e6)
    assert shares["detect_head"] == 1.0
    assert backbone.macs / 1e6 == pytest.approx(counted["MMACs"])
    depth = {point.name: point.depth for point in backbone.points}
    for point, part in {
        "backbone.stage2.3": "backbone.stage2",
        "backbone.stage3.7": "backbone.stage3",
        "SPP": "SPP",
    }.items():
        assert depth[point] == pytest.approx(shares[part])
    assert len(backbone.point("backbone.stage3.7").side_values) == 1  # what the fusion reads of the stage before


def test_its_weights_are_all_those_of_the_file(detector: LoadedModel) -> None:
    state = load_state(shared(WEIGHTS))
    assert detector.model.state_dict().keys() == state.keys()
    assert sum(parameter.numel() for parameter in detector.model.parameters()) == pytest.approx(0.24e6, rel=0.05)


def test_it_finds_persons_and_wants_rgb(detector: LoadedModel, coco: Coco, raw: np.ndarray) -> None:
    person = coco.presence("person")
    found = Presence.of(presence(torch.from_numpy(raw))[:, 0].numpy() >= 0.65, person)
    assert found.precision > 0.85
    assert found.recall > 0.85
    few = Coco(coco.names, coco.ids[:32], coco.pictures[:32, ..., ::-1].copy(), coco.boxes[:32], coco.labels[:32])
    turned = presence(torch.from_numpy(answers(detector, few)))
    there = torch.from_numpy(np.stack([coco.presence(name)[:32] for name in coco.names], 1))
    assert presence(torch.from_numpy(raw[:32]))[there].mean() > turned[there].mean() + 0.03


@pytest.mark.slow
def test_its_boxes_are_where_objects_are(coco: Coco, raw: np.ndarray) -> None:
    """25.3 % is published for pictures that it was not trained on; these 128 it was."""
    found = [detections(one, least=0.001) for one in raw]
    assert 0.25 < mean_average_precision(found, coco) < 0.45
