"""A small vision transformer for images of 32 x 32 pixels (Dosovitskiy et al. 2021), to be trained from scratch."""

import torch
from torch import nn

from benchmarks.cifar_resnet import PREPROCESS


class Layer(nn.Module):
    """Attention and a two-layer network, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) to (B, T, D)."""
        batch, tokens, width = x.shape
        shape = (batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        # written out, since the fused operation takes three times as long on a CPU in bfloat16
        weight = (query * (width // self.heads) ** -0.5 @ key.transpose(-1, -2)).softmax(dim=-1)
        x = x + self.out((weight @ value).transpose(1, 2).reshape(batch, tokens, width))
        result: torch.Tensor = x + self.mlp(self.norm2(x))
        return result


class CifarViT(nn.Module):
    """Patches, a class token, learned positions, layers, and a linear classifier on the class token."""

    def __init__(self, depth: int = 6, width: int = 64, heads: int = 4, patch: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.preprocess = PREPROCESS
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + (32 // patch) ** 2, width))
        self.blocks = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of images (B, 3, 32, 32)."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], dim=1) + self.position
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.linear(self.norm(x)[:, 0])
        return logits
