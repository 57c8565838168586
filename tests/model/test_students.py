"""Students of networks as libraries have them: the same code makes, teaches and runs one for every family."""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.torchvision_shim import install
from torch import nn

from offramp.calibrate.identity import Identity
from offramp.gates.max_prob import MaxProb
from offramp.heads.network import Answers
from offramp.inputs import Inputs, call, select
from offramp.learning import attach
from offramp.load.sources import open_source
from offramp.model.augment import Augment
from offramp.model.cache import Pass
from offramp.model.macs import network_macs
from offramp.model.modes import frozen
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.model.pruned import Pruned
from offramp.model.selection import select as chosen_points
from offramp.model.views import Views
from offramp.options import Options
from offramp.recipes import recipe
from offramp.run.choice import executor
from offramp.run.executor import Say
from offramp.testing.untouched import untouched
from offramp.train.course import course_for
from offramp.train.student import Lesson, Teaching
from offramp.types import INPUT, Exit
from tests.toys import logits_of

CLASSES, SAMPLES = 5, 48


def _resnet() -> tuple[nn.Module, Inputs]:
    library = importlib.import_module("timm.models.resnet")
    sizes = {"channels": (8, 16, 32, 64), "stem_type": "deep", "stem_width": 4}
    return library.ResNet(library.BasicBlock, (3, 3, 3, 3), CLASSES, **sizes), torch.randn(SAMPLES, 3, 64, 64)


def _vit() -> tuple[nn.Module, Inputs]:
    library = importlib.import_module("timm.models.vision_transformer")
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 6, "num_heads": 4}
    return library.VisionTransformer(num_classes=CLASSES, **sizes), torch.randn(SAMPLES, 3, 32, 32)


def _convnext() -> tuple[nn.Module, Inputs]:
    library = importlib.import_module("timm.models.convnext")
    made = library.ConvNeXt(num_classes=CLASSES, depths=(2, 2, 6, 2), dims=(8, 16, 32, 64), ls_init_value=1.0)
    return made, torch.randn(SAMPLES, 3, 64, 64)


def _bert() -> tuple[nn.Module, Inputs]:
    library = importlib.import_module("transformers")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 6}
    made = library.BertForSequenceClassification(library.BertConfig(num_labels=CLASSES, vocab_size=100, **sizes))
    lengths = torch.randint(3, 13, (SAMPLES, 1))
    return made, {
        "input_ids": torch.randint(5, 100, (SAMPLES, 12)),
        "attention_mask": (torch.arange(12) < lengths).long(),
    }


FAMILIES = {"resnet": (_resnet, "timm"), "vit": (_vit, "timm"), "convnext": (_convnext, "timm")}
FAMILIES["bert"] = (_bert, "transformers")

LEFT_OUT = {
    "vit": tuple((f"blocks.{i}", f"blocks.{i + 1}") for i in range(4)),
    "bert": tuple((f"bert.encoder.layer.{i}", f"bert.encoder.layer.{i + 1}") for i in range(4)),
}
"""Of six blocks the first and the last stay."""


def _attached(name: str) -> tuple[MultiExit, Inputs, Pruned]:
    """A model with a head and the student that the recipe gives it, and samples for it."""
    make, library = FAMILIES[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"no {library} installed")
    install()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, inputs = make()
    backbone = analyse(model.eval(), select(inputs, torch.arange(2)), logits_of)
    chosen = recipe("student")
    live = attach(backbone, chosen_points(backbone.points, None, 1), Options(recipe=chosen), logits_of)
    answers = live.head(0).reduction
    assert isinstance(answers, Answers)
    assert isinstance(answers.network, Pruned)
    return live, inputs, answers.network


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.filterwarnings("ignore")
def test_a_student_is_made_learns_and_runs(name: str, tmp_path: Path) -> None:
    live, inputs, student = _attached(name)
    model = live.backbone.model
    assert live.exits[0] == Exit(INPUT, "student")
    assert student.left_out == LEFT_OUT.get(name, student.left_out) != ()
    assert 0.0 < network_macs(student, live.backbone.example, logits_of) <= 0.5 * live.backbone.macs
    with untouched(model):
        _taught(live, inputs, student, tmp_path)
        _run(live, inputs, student)


def _taught(live: MultiExit, inputs: Inputs, student: Pruned, folder: Path) -> None:
    source = open_source((inputs, None) if isinstance(inputs, torch.Tensor) else inputs)
    views = Views(source, Augment(copies=0), np.ones(SAMPLES, bool), 0, 16)
    taught = Lesson(views, Pass(live.backbone.model, logits_of, [], "me", 16).over(views, folder, split="train"))
    course = course_for(student)
    rate = 0.1 if course.optimizer == "SGD" else 0.01
    course = replace(course, seen=10 * SAMPLES, batch_size=16, learning_rate=rate, half=False)
    target = torch.from_numpy(np.asarray(taught.cache.logits, np.float32))

    def loss() -> float:
        with torch.no_grad():
            return float(course.regime.loss(logits_of(call(student, inputs)), target, None))

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # untrained, they answer much alike without some blocks, so it is led astray first
        for parameter in student.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    before = loss()
    Teaching(student, [taught], course).run()
    assert loss() < 0.8 * before


def _run(live: MultiExit, inputs: Inputs, student: Pruned) -> None:
    """Who stays behind the student is answered by the backbone; the student says what it says by itself."""
    staying = np.array([7, 0, 4])
    runs = executor(live, logits_of, MaxProb(), [Identity()] * 2, [True, False])
    said: list[np.ndarray] = []

    def stop(_place: int, say: Say) -> np.ndarray:
        said.append(say(0).logits)
        return staying

    left = runs.drive(inputs, stop)
    assert left is not None
    with torch.no_grad(), frozen(live.backbone.model):
        own, whole = logits_of(call(student, inputs)), logits_of(call(live.backbone.model, inputs))
    np.testing.assert_allclose(said[0], own.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(left.logits, whole.numpy()[staying], rtol=1e-4, atol=1e-4)
