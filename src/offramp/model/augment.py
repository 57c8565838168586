"""Label-free augmentation of images: the targets are the backbone's own outputs on the augmented copies."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch.nn import functional as F

from offramp.errors import InputError
from offramp.inputs import Inputs


@dataclass(frozen=True)
class Augment:
    """Random shifts, flips and blends of preprocessed images `(B, C, H, W)`.

    Attributes:
        copies: augmented copies of each sample besides the sample itself; each costs one more backbone pass.
        flip: whether to mirror half of the images.
        shift: largest shift as a share of the image size; what moves in is zero, the mean after normalisation.
        mix: share of the images that are blended with another of their batch, which weighs less than half (mixup,
            Zhang et al. 2018, but with the backbone's output on the blend as the target instead of blended labels).
    """

    copies: int = 0
    flip: bool = True
    shift: float = 0.125
    mix: float = 0.0

    def __post_init__(self) -> None:
        if self.copies < 0 or not 0 <= self.shift < 1 or not 0 <= self.mix <= 1:
            raise InputError(f"expected copies >= 0, shift in [0, 1) and mix in [0, 1], got {self}")

    @staticmethod
    def fits(inputs: Inputs) -> bool:
        """Whether these are images."""
        return isinstance(inputs, torch.Tensor) and inputs.ndim == 4

    def __call__(
        self, inputs: Inputs, generator: torch.Generator, lend: Bool[torch.Tensor, " batch"] | None = None
    ) -> Inputs:
        """An augmented copy of a batch, drawn from `generator`; only the images in `lend` are blended into others."""
        if not self.fits(inputs):
            raise InputError(
                "expected images (batch, channels, height, width) to augment; set copies=0 for other inputs"
            )
        assert isinstance(inputs, torch.Tensor)
        if self.flip:
            mirrored = torch.rand(len(inputs), generator=generator) < 0.5
            inputs = torch.where(mirrored[:, None, None, None], inputs.flip(3), inputs)
        moved = self._shifted(inputs, generator)
        return self._mixed(moved, generator, lend) if self.mix else moved

    def _mixed(self, images: torch.Tensor, generator: torch.Generator, lend: torch.Tensor | None) -> torch.Tensor:
        batch = len(images)
        other = torch.randperm(batch, generator=generator)
        blended = torch.rand(batch, generator=generator) < self.mix
        if lend is not None:
            blended &= lend[other]
        weight = torch.where(blended, 0.5 + 0.5 * torch.rand(batch, generator=generator), 1.0)[:, None, None, None]
        return weight * images + (1 - weight) * images[other]

    def _shifted(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        batch, channels, height, width = images.shape
        by_row, by_column = int(self.shift * height), int(self.shift * width)
        padded = F.pad(images, (by_column, by_column, by_row, by_row))
        top = torch.randint(0, 2 * by_row + 1, (batch, 1), generator=generator) + torch.arange(height)
        left = torch.randint(0, 2 * by_column + 1, (batch, 1), generator=generator) + torch.arange(width)
        sample = torch.arange(batch)[:, None, None, None]
        channel = torch.arange(channels)[None, :, None, None]
        return padded[sample, channel, top[:, None, :, None], left[:, None, None, :]]
