from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offramp.errors import DataError, InputError, UnknownNameError
from offramp.inputs import Inputs, call, rebuild, tokens_of
from offramp.model.augment import Augment
from offramp.model.cache import Pass
from offramp.model.modes import frozen
from offramp.model.points import analyse
from offramp.model.pruned import Pruned, droppable
from offramp.model.views import Views
from offramp.testing.untouched import untouched
from offramp.train.course import Course, course_for
from offramp.train.student import Lesson, Teaching
from tests.sources import Drawn
from tests.toys import CNN, TEXT, VIT, Toy, logits_of

COURSE = Course(seen=600, batch_size=20, learning_rate=0.05, half=False)


def lesson(model: nn.Module, toy: Toy, folder: Path, samples: int = 50, copies: int = 1, seed: int = 1) -> Lesson:
    views = Views(Drawn.of(toy, samples, seed), Augment(copies=copies), np.ones(samples, bool), seed, 16)
    return Lesson(views, Pass(model, logits_of, [], "me", 16).over(views, folder, split="train"))


def student_of(model: nn.Module, toy: Toy) -> Pruned:
    backbone = analyse(model, toy.inputs(2), logits_of)
    return Pruned(backbone, droppable(backbone)[:1])


def divergence(student: nn.Module, model: nn.Module, toy: Toy) -> float:
    inputs = toy.inputs(64, 9)
    with torch.no_grad(), frozen(model):
        target = logits_of(call(model, inputs))
        return float(COURSE.regime.loss(call(student.eval(), inputs), target, None))


@pytest.mark.parametrize(("toy", "copies"), [(CNN, 1), (TEXT, 0)], ids=["cnn", "text"])
def test_a_student_comes_nearer_to_the_backbone(toy: Toy, copies: int, tmp_path: Path) -> None:
    model = toy.model()
    student = student_of(model, toy)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # a toy answers much alike without one block, so it is led astray first
        for parameter in student.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    before = divergence(student, model, toy)
    with untouched(model):
        Teaching(student, [lesson(model, toy, tmp_path, copies=copies)], COURSE).run()
    assert not student.training
    assert divergence(student, model, toy) < 0.7 * before


def test_a_killed_course_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offramp.train.student.SAVE_EVERY", 7)
    model = CNN.model()
    lessons = [lesson(model, CNN, tmp_path / "a"), lesson(model, CNN, tmp_path / "b", 30, seed=2)]
    whole, cut = student_of(model, CNN), student_of(model, CNN)
    Teaching(whole, lessons, COURSE).run()

    def killed(_what: str, done: int, _of: int) -> None:
        if done == 18:
            raise KeyboardInterrupt

    teaching = Teaching(cut, lessons, COURSE, checkpoint=tmp_path / "student.checkpoint")
    with pytest.raises(KeyboardInterrupt):
        teaching.run(killed)
    other, steps = student_of(model, CNN), list[int]()
    replace(teaching, student=other).run(lambda _what, done, _of: steps.append(done))
    assert steps[0] == 15
    torch.testing.assert_close(other.state_dict(), whole.state_dict(), rtol=0, atol=0)
    again = student_of(model, CNN)
    replace(teaching, student=again).run(lambda *_: pytest.fail("it was done"))
    torch.testing.assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_every_view_is_seen_once_an_epoch_and_held_samples_never(tmp_path: Path) -> None:
    model = CNN.model()
    some = lesson(model, CNN, tmp_path)
    held = np.array([3, 17, 40])
    teaching = Teaching(student_of(model, CNN), [some], COURSE, held)
    rows = torch.from_numpy(np.asarray(some.cache.logits, np.float32))
    seen: list[torch.Tensor] = []
    for _, (inputs, target) in teaching._batches(0):
        if sum(map(len, seen)) >= 94:
            break
        assert isinstance(inputs, torch.Tensor)
        with frozen(model):
            torch.testing.assert_close(logits_of(model(inputs)), target, rtol=1e-4, atol=1e-4)
        seen.append(target)
    found = {tuple(row) for row in torch.cat(seen).tolist()}
    expected = {tuple(row) for index, row in enumerate(rows.tolist()) if index % 50 not in held}
    assert found == expected


def test_held_samples_are_left_out_of_further_views_of_their_source_and_of_no_other(tmp_path: Path) -> None:
    model = CNN.model()
    first, other = lesson(model, CNN, tmp_path / "a", 20, copies=0), lesson(model, CNN, tmp_path / "b", 10, 0, seed=2)
    views = replace(first.views, augment=Augment(copies=2), skip=1)
    further = Lesson(views, Pass(model, logits_of, [], "me", 16).over(views, tmp_path / "c", split="train"))
    teaching = Teaching(student_of(model, CNN), [first, other, further], COURSE, np.array([4, 11]))
    rows = teaching._rows([(index, start) for index, one in enumerate(teaching.lessons) for start in one.views.starts])
    assert len(rows) == 18 + 10 + 36
    assert {(index, row % 20) for index, row in rows if row % 20 in (4, 11)} == {(1, 4)}


def test_a_course_that_diverges_says_so(tmp_path: Path) -> None:
    model = CNN.model()
    with pytest.raises(InputError, match="the student diverged at step"):
        Teaching(student_of(model, CNN), [lesson(model, CNN, tmp_path)], replace(COURSE, learning_rate=1e30)).run()


class Flat(nn.Module):
    """Looks at its features with `view`, which the channels-last layout does not allow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 12 * 12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.fc(self.conv(x).view(len(x), -1))
        return found


def test_a_network_that_needs_the_usual_layout_is_taught_in_it(tmp_path: Path) -> None:
    model, network = CNN.model(), Flat()
    before = divergence(network, model, CNN)
    Teaching(network, [lesson(model, CNN, tmp_path)], COURSE).run()
    assert divergence(network, model, CNN) < before
    assert network.conv.weight.is_contiguous()


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    model = CNN.model()
    some = lesson(model, CNN, tmp_path)
    with pytest.raises(DataError, match="expected rows to teach a student from"):
        Teaching(student_of(model, CNN), [], COURSE).run()
    with pytest.raises(DataError, match="expected rows to teach a student from"):
        Teaching(student_of(model, CNN), [some], COURSE, np.arange(50)).run()
    with pytest.raises(DataError, match="expected logits for 50 views, got 100"):
        Lesson(replace(some.views, augment=Augment()), some.cache)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [COURSE.rate(step, 1000) for step in range(1000)]
    assert rates[0] < 0.05 * COURSE.learning_rate
    assert max(rates) == pytest.approx(COURSE.learning_rate, rel=0.05)
    assert rates[-1] < 0.001 * COURSE.learning_rate
    assert np.argmax(rates) in range(45, 55)


def test_a_frozen_backbone_has_a_student_that_learns(tmp_path: Path) -> None:
    model = CNN.model().requires_grad_(False)
    student = student_of(model, CNN)
    before = {name: tensor.clone() for name, tensor in student.named_parameters()}
    Teaching(student, [lesson(model, CNN, tmp_path)], COURSE).run()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in student.named_parameters())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_batches_that_are_all_held_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offramp.train.student.SHUFFLED", 1)  # every batch of views by itself
    model = CNN.model()
    student = student_of(model, CNN)
    Teaching(student, [lesson(model, CNN, tmp_path, samples=49)], COURSE, np.array([48])).run()
    assert not student.training


class Ragged(Drawn):
    """Texts as a tokenizer gives them: a batch is as long as its longest text."""

    def inputs(self, indices: np.ndarray) -> Inputs:
        found = super().inputs(indices)
        assert isinstance(found, dict)
        longest = int(found["attention_mask"].sum(1).max())
        return rebuild(found, [tensor[:, :longest] for tensor in found.values()])


def test_texts_of_all_lengths_are_seen_once_an_epoch_and_padded_little(tmp_path: Path) -> None:
    model = TEXT.model()
    lessons = []
    for index, samples in enumerate((60, 25)):
        views = Views(Ragged.of(TEXT, samples, index), Augment(copies=0), np.ones(samples, bool), 0, 16)
        cache = Pass(model, logits_of, [], "me", 16).over(views, tmp_path / str(index), split="train")
        lessons.append(Lesson(views, cache))
    held = np.array([3, 17, 40])
    teaching = Teaching(student_of(model, TEXT), lessons, replace(COURSE, batch_size=8), held)
    seen: list[torch.Tensor] = []
    for _, (inputs, target) in teaching._batches(0):
        if sum(map(len, seen)) >= 82:
            break
        with frozen(model):
            torch.testing.assert_close(logits_of(call(model, inputs)), target, rtol=1e-4, atol=1e-4)
        assert isinstance(inputs, dict)
        assert tokens_of(inputs) == int(inputs["attention_mask"].sum(1).max())
        seen.append(target)
    assert len({len(target) for target in seen}) < 4
    told = [np.asarray(lesson.cache.logits, np.float32).tolist() for lesson in lessons]
    expected = sorted([*(row for i, row in enumerate(told[0]) if i not in held), *told[1]])
    assert sorted(torch.cat(seen).tolist()) == expected
    teaching.run()


@pytest.mark.parametrize("toy", [TEXT, VIT], ids=["text", "vit"])
def test_networks_without_batch_norms_learn_by_adamw(toy: Toy, tmp_path: Path) -> None:
    model = toy.model()
    student = student_of(model, toy)
    course = course_for(student)
    assert course.optimizer == "AdamW"
    assert course.learning_rate < 1e-3
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(0.9)
    before = divergence(student, model, toy)
    Teaching(student, [lesson(model, toy, tmp_path, copies=0)], replace(course, seen=2000, half=False)).run()
    assert divergence(student, model, toy) < 0.7 * before


def test_networks_with_batch_norms_learn_by_sgd() -> None:
    assert course_for(student_of(CNN.model(), CNN)) == Course()


def test_an_adamw_step_is_that_of_torch(tmp_path: Path) -> None:
    """One step by hand: decay on matrices alone, at the rate of the first step."""
    model = TEXT.model()
    course = Course(seen=20, batch_size=20, optimizer="AdamW", learning_rate=0.01, weight_decay=0.1, half=False)
    student, by_hand = student_of(model, TEXT), student_of(model, TEXT)
    teaching = Teaching(student, [lesson(model, TEXT, tmp_path, samples=20, copies=0)], course)
    _, (inputs, target) = next(teaching._batches(0))
    course.regime.loss(call(by_hand.train(), inputs), target, None).backward()  # type: ignore[no-untyped-call]
    expected = {}
    for name, parameter in by_hand.named_parameters():
        assert parameter.grad is not None
        step = parameter.grad / (parameter.grad.abs() + 1e-8)
        kept = 1 - course.rate(0, 1) * (0.1 if parameter.ndim > 1 else 0.0)
        expected[name] = parameter.detach() * kept - course.rate(0, 1) * step
    teaching.run()
    torch.testing.assert_close(dict(student.named_parameters()), expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="SGD"):
        Course(optimizer="Lion")
