"""The last layers of the networks, trained on CIFAR-10 train pictures; all layers of the one that says angles."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cifar_resnet import PREPROCESS, CifarResNet
from benchmarks.other_tasks import networks
from offramp.demo.digits import backbone_digits, stream
from offramp.demo.network import DigitNet, digit_net

MOST = 45.0
"""Degrees by which a picture is turned at most, to either side."""

BATCH = 128


def pictures(path: Path, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The uint8 pictures of a file `(N, 32, 32, 3)`, and their classes."""
    with np.load(path) as arrays:
        return arrays["x"][:most], arrays["y"][:most].astype(np.int64)


def normalised(images: np.ndarray) -> torch.Tensor:
    """As the networks take them."""
    mean, std = (torch.tensor(PREPROCESS[name])[:, None, None] for name in ("mean", "std"))
    found: torch.Tensor = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0 - mean) / std
    return found


def turned(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Pictures turned about their centre, bilinearly, and cut to a disc, so that no corner tells the angle."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    radians, side = torch.from_numpy(np.deg2rad(degrees)).float(), x.shape[-1]
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros(len(x))
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    found = F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)
    place = torch.arange(side) - (side - 1) / 2.0
    found = found * ((place[:, None] ** 2 + place[None] ** 2) < (side / 2.0 - 1.0) ** 2)
    result: np.ndarray = found.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return result


def angles(count: int, seed: int) -> np.ndarray:
    """Evenly between -`MOST` and `MOST`."""
    return np.random.default_rng(seed).uniform(-MOST, MOST, count)


def pretrained(model: CifarResNet, weights: Path) -> CifarResNet:
    """With the weights of a classifier in all layers but the last."""
    state = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
    known = {name.removeprefix("module."): value for name, value in state.items()}
    missing, _ = model.load_state_dict({k: v for k, v in known.items() if not k.startswith("linear")}, strict=False)
    assert set(missing) <= {"linear.weight", "linear.bias"}
    return model.eval()


def features(model: CifarResNet, images: np.ndarray) -> torch.Tensor:
    """What the last layer sees `(N, 64)`."""
    last, model.linear = model.linear, nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        found = [model(normalised(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    model.linear = last
    return torch.cat(found)


def linear(model: CifarResNet, seen: torch.Tensor, target: torch.Tensor, each: bool) -> None:
    """Fits the last layer: binary cross-entropy of `each` label, or squared errors; a little weight decay."""
    with torch.no_grad():
        model.linear.weight.zero_()
        model.linear.bias.copy_(torch.zeros(target.shape[1]) if each else target.mean(0))
    optimizer = torch.optim.LBFGS(model.linear.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        said = model.linear(seen)
        loss = F.binary_cross_entropy_with_logits(said, target) if each else F.mse_loss(said, target)
        loss = loss + 1e-4 * model.linear.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def says_angles(model: DigitNet, images: np.ndarray, epochs: int) -> None:
    """Trains all layers to say by how much digits are turned, each by another angle in each epoch."""
    generator, steps = np.random.default_rng(0), epochs * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    model.train()
    for epoch in range(epochs):
        order, degrees = generator.permutation(len(images)), angles(len(images), epoch)
        for start in range(0, len(images) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            target = torch.from_numpy(degrees[rows] / MOST).float()[:, None]
            seen = torch.from_numpy(turned(images[rows], degrees[rows])).permute(0, 3, 1, 2) / 255.0
            loss = F.smooth_l1_loss(model((seen - 0.13) / 0.31), target, beta=0.1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with torch.no_grad():  # from shares of the largest angle to degrees
        model.classifier.weight.mul_(MOST)
        model.classifier.bias.mul_(MOST)
    model.eval()


def angled(epochs: int) -> DigitNet:
    """The network of angles, from the weights of the demonstration, trained on the digits that these are of."""
    model = networks.angle()
    known = digit_net().state_dict()
    model.load_state_dict({name: one for name, one in known.items() if "classifier" not in name}, strict=False)
    says_angles(model, backbone_digits()[0], epochs)
    return model


def made(case: str, weights: Path, train: Path, epochs: int) -> nn.Module:
    """The network of a case, trained."""
    if case == "angle":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return angled(epochs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = pretrained(getattr(networks, case)(), weights)
    images, classes = pictures(train)
    if case == "mass":
        linear(model, features(model, images), torch.from_numpy(networks.MASS[classes]).float()[:, None], each=False)
        return model
    labels = np.stack([np.isin(classes, kinds) for kinds in networks.ATTRIBUTES.values()], axis=1)
    linear(model, features(model, images), torch.from_numpy(labels).float(), each=True)
    return model


def data(case: str, path: Path, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a file, or the first of them, as a case has them, as uint8, and their labels."""
    if case == "angle":
        images = stream()[0]
        degrees = angles(len(images), 2**20)
        return turned(images, degrees), degrees
    images, classes = pictures(path, most)
    if case == "mass":
        return images, networks.MASS[classes]
    return images, np.stack([np.isin(classes, kinds) for kinds in networks.ATTRIBUTES.values()], axis=1).astype(int)
