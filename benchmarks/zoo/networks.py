"""Networks of kinds that no library of the zoo has: a recommender of two kinds, a U-Net, a small detector."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


def _mlp(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


class DLRM(nn.Module):
    """Deep learning recommendation model (Naumov et al. 2019): bottom MLP, embeddings, dot interaction, top MLP."""

    def __init__(self, dense: int = 13, fields: int = 26, words: int = 100, width: int = 16) -> None:
        super().__init__()
        self.bottom = _mlp(dense, 64, 32, width)
        self.embeddings = nn.ModuleList(nn.Embedding(words, width) for _ in range(fields))
        pairs = (fields + 1) * fields // 2
        self.rows: torch.Tensor
        self.columns: torch.Tensor
        self.register_buffer("rows", torch.triu_indices(fields + 1, fields + 1, 1)[0])
        self.register_buffer("columns", torch.triu_indices(fields + 1, fields + 1, 1)[1])
        self.top = _mlp(width + pairs, 128, 64, 32)
        self.click = nn.Linear(32, 1)

    def forward(self, dense: torch.Tensor, sparse: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1) of dense (B, 13) float and sparse (B, 26) int64."""
        bottom = self.bottom(dense)
        looked_up = [table(sparse[:, field]) for field, table in enumerate(self.embeddings)]
        vectors = torch.stack([bottom, *looked_up], dim=1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))[:, self.rows, self.columns]
        logits: torch.Tensor = self.click(self.top(torch.cat([bottom, products], dim=1)))
        return logits


class DCN(nn.Module):
    """Deep and cross network, version 2 in its stacked form (Wang et al. 2021)."""

    def __init__(self, fields: int = 10, words: int = 100, width: int = 8, layers: int = 3) -> None:
        super().__init__()
        size = fields * width
        self.embedding = nn.Embedding(words * fields, width)
        self.offset: torch.Tensor
        self.register_buffer("offset", torch.arange(fields) * words)
        self.cross = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        self.deep = _mlp(size, 64, 64, 32)
        self.click = nn.Linear(32, 1)

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1) of field indices (B, fields)."""
        start = self.embedding(fields + self.offset).flatten(1)
        x = start
        for layer in self.cross:
            x = start * layer(x) + x
        logits: torch.Tensor = self.click(self.deep(x))
        return logits


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of three levels; its skips are alive until the end."""

    def __init__(self, channels: int = 8, classes: int = 4) -> None:
        super().__init__()
        sizes = [3, channels, 2 * channels, 4 * channels]
        self.down = nn.ModuleList(_double(a, b) for a, b in pairwise(sizes))
        self.bottom = _double(sizes[-1], 8 * channels)
        self.rise = nn.ModuleList(nn.ConvTranspose2d(2 * size, size, 2, 2) for size in sizes[:0:-1])
        self.up = nn.ModuleList(_double(2 * size, size) for size in sizes[:0:-1])
        self.last = nn.Conv2d(channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A class for each pixel (B, classes, H, W)."""
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for rise, block, skip in zip(self.rise, self.up, reversed(skips), strict=True):
            x = block(torch.cat([rise(x), skip], dim=1))
        pixels: torch.Tensor = self.last(x)
        return pixels


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class TextClassifier(nn.Module):
    """`nn.TransformerEncoder` over word embeddings, with a padding mask."""

    def __init__(self, words: int = 100, width: int = 32, layers: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) of tokens (B, T) and padding (B, T), true where there is none."""
        encoded = self.encoder(self.words(tokens), src_key_padding_mask=padding)
        logits: torch.Tensor = self.head(encoded[:, 0])
        return logits


class TwoViews(nn.Module):
    """Named inputs, a dict of outputs, tied weights and a module that is called three times."""

    def __init__(self, width: int = 64, classes: int = 5) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, width, 3, 2, 1)
        self.meta = nn.Linear(4, width)
        self.shared = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.tied = nn.Linear(width, width)
        self.tied.weight = self.shared[0].weight  # type: ignore[assignment]
        self.head = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor, meta: torch.Tensor) -> dict[str, torch.Tensor]:
        """`{"logits": (B, classes), "features": (B, width)}` of image (B, 3, H, W) and meta (B, 4)."""
        x = self.image(image).relu().mean((2, 3)) + self.meta(meta)
        for _ in range(3):
            x = self.shared(x)
        x = torch.tanh(self.tied(x))
        return {"logits": self.head(x), "features": x}
