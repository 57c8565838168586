"""Toy backbones with fewer than 20,000 parameters: one of each kind that has to be cut.

Same seed, same weights; inputs are noise, and nothing draws from torch's global state.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from offramp.heads import head_type
from offramp.inputs import Inputs, tokens_of
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.model.points import analyse
from offramp.reading import reader
from offramp.tasks.classification import Classification
from offramp.types import Exit

CLASSES = 5
"""Classes of every toy."""

WORDS, LENGTH = 30, 9
"""Vocabulary and length of the texts of `TextEncoder`."""


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm, in-place ReLUs and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        plain = stride == 1 and channels_in == channels
        self.shortcut: nn.Module = nn.Identity() if plain else nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, H, W) to (B, channels, H / stride, W / stride)."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        result: torch.Tensor = self.relu(out)
        return result


class ResidualCNN(nn.Module):
    """A ResNet for 12x12 images with three channels; dropout before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(ResidualBlock(8, 8, 1), ResidualBlock(8, 8, 1))
        self.layer2 = nn.Sequential(ResidualBlock(8, 16, 2), ResidualBlock(16, 16, 1))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 12, 12) to (B, CLASSES)."""
        x = F.relu(self.bn(self.conv(x)), inplace=True)
        x = self.layer2(self.layer1(x))
        logits: torch.Tensor = self.fc(self.dropout(x.mean(dim=(2, 3))))
        return logits


class EncoderLayer(nn.Module):
    """A pre-norm transformer layer with fused attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T, D) to (B, T, D); `bias` is added to the attention's logits."""
        batch, tokens, width = x.shape
        shape = (batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        result: torch.Tensor = x + self.mlp(self.norm2(x))
        return result


class VisionTransformer(nn.Module):
    """A ViT for 12x12 images: nine patches and a class token, which is expanded to the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 10, 16))
        self.blocks = nn.ModuleList(EncoderLayer(16, 2) for _ in range(4))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 12, 12) to (B, CLASSES)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), tokens], dim=1) + self.position
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x)[:, 0])
        return logits


class TextEncoder(nn.Module):
    """A BERT-like encoder: token ids and a mask by keyword; every layer needs the mask; returns a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(WORDS, 16)
        self.position = nn.Embedding(LENGTH, 16)
        self.layers = nn.ModuleList(EncoderLayer(16, 4) for _ in range(4))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Ids (B, T) and mask (B, T), 1 = read, to `{"hidden": (B, T, D), "logits": (B, CLASSES)}`."""
        bias = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.word(input_ids) + self.position(place)
        for layer in self.layers:
            x = layer(x, bias)
        return {"hidden": x, "logits": self.head(x[:, 0])}


class ClickNet(nn.Module):
    """A DCN-like network of dense and sparse features (B, 6) and (B, 3): cross layers, then a deep tower."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.ModuleList(nn.Embedding(20, 4) for _ in range(3))
        self.cross = nn.ModuleList(nn.Linear(18, 18) for _ in range(2))
        self.deep = nn.Sequential(
            nn.Linear(18, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU()
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, dense: torch.Tensor, sparse: torch.Tensor) -> torch.Tensor:
        """To (B, CLASSES)."""
        columns = [table(sparse[:, index]) for index, table in enumerate(self.embedding)]
        start = torch.cat([dense, *columns], dim=1)
        x = start
        for layer in self.cross:
            x = start * layer(x) + x
        logits: torch.Tensor = self.head(self.deep(x))
        return logits


def _mlp() -> nn.Module:
    sizes = [8, 24, 24, 24]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))


@dataclass(frozen=True)
class Toy:
    """A backbone to be built, and inputs for it.

    Attributes:
        name: of the toy.
        make: builds the network.
        draw: draws a batch of the given size.
    """

    name: str
    make: Callable[[], nn.Module]
    draw: Callable[[int, torch.Generator], Inputs]

    def model(self, seed: int = 0) -> nn.Module:
        """The network in eval mode, its batch norms with statistics of their own."""
        with torch.random.fork_rng(devices=[]):  # layers initialise themselves from torch's global state
            torch.manual_seed(seed)
            model = self.make()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.running_mean, std=0.3)  # type: ignore[arg-type]
                    nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        return model.eval()

    def inputs(self, batch: int, seed: int = 1) -> Inputs:
        """A batch; the first samples of a larger batch of the same seed are not those of a smaller one."""
        return self.draw(batch, torch.Generator().manual_seed(seed))


def _vectors(batch: int, generator: torch.Generator) -> Inputs:
    return torch.randn(batch, 8, generator=generator)


def _images(batch: int, generator: torch.Generator) -> Inputs:
    return torch.randn(batch, 3, 12, 12, generator=generator)


def _texts(batch: int, generator: torch.Generator) -> Inputs:
    length = torch.randint(2, LENGTH + 1, (batch, 1), generator=generator)
    return {
        "input_ids": torch.randint(0, WORDS, (batch, LENGTH), generator=generator),
        "attention_mask": (torch.arange(LENGTH) < length).long(),
    }


def _clicks(batch: int, generator: torch.Generator) -> Inputs:
    return torch.randn(batch, 6, generator=generator), torch.randint(0, 20, (batch, 3), generator=generator)


MLP = Toy("mlp", _mlp, _vectors)
CNN = Toy("cnn", ResidualCNN, _images)
VIT = Toy("vit", VisionTransformer, _images)
TEXT = Toy("text", TextEncoder, _texts)
CLICKS = Toy("clicks", ClickNet, _clicks)
TOYS: tuple[Toy, ...] = (MLP, CNN, VIT, TEXT, CLICKS)


def attached(
    model: nn.Module, inputs: Inputs, heads: Sequence[str] = ("pooled-linear",), *, seed: int = 0
) -> MultiExit:
    """A model with heads at all its points, initialised at random."""
    return headed(analyse(model, inputs, reader(Classification())), heads, seed=seed)


def headed(backbone: Backbone, heads: Sequence[str] = ("pooled-linear",), *, seed: int = 0) -> MultiExit:
    """A backbone with heads at all its points, initialised at random."""
    generator = torch.Generator().manual_seed(seed)
    exits = tuple(Exit(point.name, head) for point in backbone.points for head in heads)
    shapes = {point.name: point.feature_shape for point in backbone.points}
    tokens = tokens_of(backbone.example)
    built = [
        head_type(exit_.head).build(shapes[exit_.point], backbone.classes, generator, tokens, number)
        for number, exit_ in enumerate(exits)
    ]
    return MultiExit(backbone, exits, nn.ModuleList(built).eval())
