import copy
from typing import Any

import pytest
import torch
from benchmarks.cifar_resnet import CifarResNet, resnet56
from benchmarks.students.learner import Learner
from benchmarks.students.network import Student
from benchmarks.students.pictures import Stream, as_seen
from torch.nn import functional as F

TOLD: dict[str, Any] = {
    "views": "fresh",
    "batch_size": 4,
    "rate": 0.1,
    "temperature": 2,
    "weight_decay": 0.01,
    "mix": 0.5,
    "keep": [1, 1, 1],
}


@pytest.fixture(scope="module")
def backbone() -> CifarResNet:
    torch.manual_seed(0)
    return resnet56().eval()


def test_a_student_has_blocks_of_the_backbone_from_the_first_to_the_last(backbone: CifarResNet) -> None:
    student = Student(backbone, [1, 2, 4])
    expected = [backbone.layer1[0], *(backbone.layer2[i] for i in (0, 8)), *(backbone.layer3[i] for i in (0, 3, 6, 8))]
    found = [block for stage in student.stages for block in stage.children()]
    assert len(found) == len(expected)
    for own, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(dict(own.named_parameters()), dict(whole.named_parameters()), rtol=0, atol=0)


def test_steps_are_those_of_torch(backbone: CifarResNet) -> None:
    learner = Learner("own", TOLD, backbone, 3)
    beside = copy.deepcopy(learner.network)
    decayed = [weight for weight in beside.parameters() if weight.ndim > 1]
    others = [weight for weight in beside.parameters() if weight.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    x, target = torch.randn(12, 3, 32, 32), torch.randn(12, 10)
    for step in range(3):
        rows = slice(4 * step, 4 * step + 4)
        for group in optimizer.param_groups:
            group["lr"] = learner._rate_now()
        learner.feed((x[rows], target[rows], torch.zeros(4, 64)))
        with torch.autocast("cpu", torch.bfloat16):
            logits = beside(x[rows].contiguous(memory_format=torch.channels_last))[0]
        softened = F.log_softmax(logits.float() / 2, 1)
        loss = 4 * F.kl_div(softened, F.softmax(target[rows] / 2, 1), reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert learner.step == learner.steps
    torch.testing.assert_close(dict(learner.network.named_parameters()), dict(beside.named_parameters()))


@pytest.mark.parametrize("fixed", [0, 24])
def test_every_picture_is_seen_once_before_any_is_seen_again(backbone: CifarResNet, fixed: int) -> None:
    shades = (torch.arange(12) * 20).to(torch.uint8)
    pictures = shades[:, None, None, None].expand(12, 32, 32, 3).contiguous()
    stream = Stream(pictures, backbone, 0.0, fixed)
    views, logits, feature = stream.take(12 if fixed == 0 else 24)
    centres, known = views[:, 0, 16, 16].float(), as_seen(pictures)[:, 0, 0, 0]
    found = (centres[:, None] - known[None]).abs().argmin(1)
    assert sorted(found.tolist()) == sorted(list(range(12)) * (1 if fixed == 0 else 2))
    assert logits.shape == (len(views), 10)
    assert feature.shape == (len(views), 64)
