"""MobileFaceNet with a classifier of identities, as factories for the command line.

Weights are made by `python -m benchmarks.faces benchmarks/faces/config.json --models-only`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.faces.mobilefacenet import MobileFaceNet
from benchmarks.faces.orl import PREPROCESS
from benchmarks.faces.protocol import KNOWN, SUBJECTS

SCALE = 16.0
"""What an embedding of length 1 is multiplied with, so that a softmax can be sure of it."""


class Identifier(nn.Module):
    """Says who it is, and gives the embedding by which those can be told apart whom the classifier does not know.

    Args:
        identities: how many it knows.
    """

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.embedder = MobileFaceNet()
        self.classifier = nn.Linear(128, identities)
        self.preprocess = PREPROCESS

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, 128) to logits (B, identities); only their direction counts."""
        logits: torch.Tensor = self.classifier(SCALE * F.normalize(embedding))
        return logits

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Normalised faces (B, 3, 112, 112) to logits (B, identities) and embedding (B, 128)."""
        embedding = self.embedder(x)
        return {"logits": self.classify(embedding), "embedding": embedding}


def identifier() -> nn.Module:
    """Knows all subjects."""
    return Identifier(SUBJECTS)


def open_identifier() -> nn.Module:
    """Knows the first subjects; the others are strangers to it."""
    return Identifier(KNOWN)
