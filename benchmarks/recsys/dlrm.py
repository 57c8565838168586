"""DLRM, a deep learning recommendation model (Naumov et al. 2019): clicks from categories and numbers."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import nn


class Tables(nn.Module):
    """A table of embeddings for each field; several values of a field are added up, as EmbeddingBag does.

    The tables lie one below the other, so that a batch is one look-up, as where many fields are served; the first row
    is that of no value, which has the id -1, and stays zero. An id must be below the size of its field: one beyond is
    of the next field.

    Args:
        sizes: how many values each field has.
        width: numbers per vector.
        mean: whether several values are averaged instead.
    """

    def __init__(self, sizes: Sequence[int], width: int, mean: bool = False) -> None:
        super().__init__()
        self.sizes, self.mean = tuple(sizes), mean
        self.rows = nn.Embedding(1 + sum(sizes), width, padding_idx=0)
        self.first: torch.Tensor
        self.register_buffer("first", torch.tensor([1 + sum(sizes[:field]) for field in range(len(sizes))]))

    def forward(self, ids: Int[torch.Tensor, "batch fields *most"]) -> Float[torch.Tensor, "batch fields width"]:
        """Ids (B, fields), or (B, fields, most) where a field has several, to vectors (B, fields, width)."""
        real = ids >= 0
        first = self.first if ids.ndim == 2 else self.first.unsqueeze(1)
        vectors: torch.Tensor = self.rows((ids + first) * real)
        if ids.ndim == 3:
            vectors = vectors.sum(2)
            if self.mean:
                vectors = vectors / real.sum(2, keepdim=True).clamp(min=1)
        return vectors

    def table(self, field: int) -> torch.Tensor:
        """The vectors of one field (size, width), in the memory in which they are kept."""
        return self.rows.weight[int(self.first[field]) :][: self.sizes[field]]


class Interaction(nn.Module):
    """The inner product of every two vectors, behind the first vector where that comes of the dense features.

    Args:
        vectors: how many there are.
        first: whether the first one is handed on.
    """

    def __init__(self, vectors: int, first: bool) -> None:
        super().__init__()
        self.first = first
        rows, columns = torch.tril_indices(vectors, vectors, -1)
        self.pairs: torch.Tensor
        self.register_buffer("pairs", rows * vectors + columns)

    def forward(self, vectors: Float[torch.Tensor, "batch vectors width"]) -> Float[torch.Tensor, "batch features"]:
        """Vectors (B, V, width) to (B, V (V - 1) / 2), or to that and width more."""
        products = torch.bmm(vectors, vectors.transpose(1, 2)).flatten(1).index_select(1, self.pairs)
        return torch.cat([vectors[:, 0], products], dim=1) if self.first else products


class DLRM(nn.Module):
    """Bottom MLP on the dense features, embeddings of the categories, inner products of all, top MLP to one logit.

    Without dense features there is no bottom MLP, and the top one sees the products alone.

    Args:
        sizes: how many values each categorical field has.
        dense: how many dense features there are.
        width: numbers per vector.
        bottom: hidden layers of the bottom MLP; one of `width` follows.
        top: hidden layers of the top MLP.
        mean: whether several values of one field are averaged instead of added.
        dropout: behind each hidden layer of the top MLP, in training.
        spread: standard deviation of the first embeddings; see `reset`.
        seed: of the first weights.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        dense: int = 0,
        width: int = 16,
        bottom: Sequence[int] = (512, 256, 64),
        top: Sequence[int] = (512, 256),
        mean: bool = False,
        dropout: float = 0.0,
        spread: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        vectors = len(sizes) + (dense > 0)
        features = vectors * (vectors - 1) // 2 + (width if dense else 0)
        self.embeddings = Tables(sizes, width, mean)
        self.bottom = _hidden([dense, *bottom, width]) if dense else None
        self.interaction = Interaction(vectors, first=dense > 0)
        self.top = _hidden([features, *top], dropout)
        self.click = nn.Linear(top[-1], 1)
        self.reset(torch.Generator().manual_seed(seed), spread)

    def forward(
        self,
        sparse: Int[torch.Tensor, "batch fields *most"],
        dense: Float[torch.Tensor, "batch features"] | None = None,
    ) -> Float[torch.Tensor, "batch 1"]:
        """Ids (B, fields) or (B, fields, most), -1 where there is none, and dense features, to logits (B, 1)."""
        vectors = self.embeddings(sparse)
        if self.bottom is not None:
            vectors = torch.cat([self.bottom(dense).unsqueeze(1), vectors], dim=1)
        logits: torch.Tensor = self.click(self.top(self.interaction(vectors)))
        return logits

    @torch.no_grad()
    def reset(self, generator: torch.Generator, spread: float | None = None) -> None:
        """Draws first weights: linear layers as Naumov et al. do.

        Args:
            generator: to draw from.
            spread: standard deviation of the embeddings; default uniform within one over the root of a table's size.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                outputs, inputs = module.weight.shape
                module.weight.normal_(0.0, math.sqrt(2 / (inputs + outputs)), generator=generator)
                module.bias.normal_(0.0, math.sqrt(1 / outputs), generator=generator)
        for field, size in enumerate(self.embeddings.sizes):
            table, bound = self.embeddings.table(field), math.sqrt(1 / size)
            if spread is None:
                table.uniform_(-bound, bound, generator=generator)
            else:
                table.normal_(0.0, spread, generator=generator)


def _hidden(widths: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Layers of these widths; each is a module with its ReLU, so that exit points are called `top.0`, `top.1`, ..."""
    layers = [Layer(inputs, outputs, dropout) for inputs, outputs in pairwise(widths)]
    return nn.Sequential(*layers)


class Layer(nn.Module):
    """A linear layer with a ReLU, and dropout in training."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(inputs, outputs), nn.Dropout(dropout)

    def forward(self, x: Float[torch.Tensor, "batch inputs"]) -> Float[torch.Tensor, "batch outputs"]:
        """(B, inputs) to (B, outputs)."""
        kept: torch.Tensor = self.dropout(self.linear(x).relu())
        return kept
