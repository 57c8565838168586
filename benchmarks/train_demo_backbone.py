"""Trains the backbone of `offramp demo` and writes its weights into the package.

    python -m benchmarks.train_demo_backbone

Three minutes on two cores. Deterministic for one version of torch and one number of threads.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

import offramp.demo
from offramp.demo.digits import backbone_digits, stream
from offramp.demo.network import WEIGHTS, DigitNet
from offramp.model.augment import Augment

EPOCHS, BATCH, RATE = 40, 50, 3e-3


def images(pixels: np.ndarray) -> torch.Tensor:
    """Normalised images (N, 1, 28, 28)."""
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.13) / 0.31


def accuracy(model: DigitNet, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of right answers."""
    model.eval()
    with torch.no_grad():
        right = [(model(x[s : s + 500]).argmax(1) == y[s : s + 500]).float().sum() for s in range(0, len(y), 500)]
    return float(sum(right)) / len(y)


def main() -> None:
    """Trains, reports, saves."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    pixels, labels = backbone_digits()
    x, y = images(pixels), torch.from_numpy(labels)
    model = DigitNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    steps = EPOCHS * (len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    augment = Augment(flip=False, shift=0.08)
    for epoch in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(y), generator=generator).view(-1, BATCH):
            batch = augment(x[rows], generator)
            assert isinstance(batch, torch.Tensor)
            loss = F.cross_entropy(model(batch), y[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    unseen, truth = stream()
    print(f"accuracy on the {len(truth)} unseen digits: {accuracy(model, images(unseen), torch.from_numpy(truth)):.4f}")
    path = Path(offramp.demo.__file__).parent / WEIGHTS
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
