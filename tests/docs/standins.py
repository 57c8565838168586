"""The files that pages name without making them: a network as `nets.py:resnet56`, its weights, and digits as its data.

What the pages call a ResNet-56 is a small residual network here, so that building takes seconds.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from offramp.cli.app import main
from offramp.demo.digits import backbone_digits, stream
from offramp.load.factories import call_factory
from offramp.load.preprocess import as_preprocess

SAMPLES, PHOTOS = 1500, 1000

NETS = """\
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, 1, 1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.bn2(self.two(F.relu(self.bn1(self.one(x))))))


def resnet56():
    def stage(before, width, stride):
        return nn.Sequential(nn.Conv2d(before, width, 5, stride, 2), nn.ReLU(), *(Block(width) for _ in range(3)))

    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(stage(1, 8, 4), stage(8, 16, 2), pooled, nn.Linear(16, 10))
    net.preprocess = {"mean": 0.13, "std": 0.31, "channels": 1}
    return net
"""


def make(folder: Path) -> Path:
    """Fills a folder with them, in some seconds."""
    (folder / "nets.py").write_text(NETS)
    torch.save(_trained(folder).state_dict(), folder / "resnet56.th")
    images, labels = stream()
    np.savez(folder / "images.npz", x=images[:SAMPLES], y=labels[:SAMPLES])
    (folder / "photos").mkdir()
    for number, image in enumerate(images[:PHOTOS]):
        Image.fromarray(image[..., 0]).save(folder / "photos" / f"{number}.png")
    return folder


def _trained(folder: Path) -> torch.nn.Module:
    images, labels = backbone_digits()
    generator = torch.Generator().manual_seed(0)
    model: torch.nn.Module = call_factory(f"{folder / 'nets.py'}:resnet56").train()
    x, y = as_preprocess(model.preprocess, "digits").batch(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for rows in torch.randint(len(x), (300, 128), generator=generator):
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(model(x[rows]), y[rows]))
        optimizer.step()
    return model.eval()


def with_bundle(folder: Path) -> Path:
    """A bundle of that network beside them."""
    model = [f"{folder / 'nets.py'}:resnet56", "--weights", str(folder / "resnet56.th")]
    wishes = ["--recipe", "quick", "--max-drop", "0.05", "--batch-sizes", ""]
    assert main(["build", *model, "--data", str(folder / "images.npz"), "--out", str(folder / "bundle"), *wishes]) == 0
    return folder


def copy(made: Path, folder: Path) -> None:
    """All of them, for a page that may change them."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
