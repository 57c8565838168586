"""The classifier of identities, trained on embeddings of pictures that are used for nothing else."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.faces.copies import SMALL
from benchmarks.faces.mobilefacenet import pretrained
from benchmarks.faces.network import Identifier
from benchmarks.faces.orl import PREPROCESS, Faces
from benchmarks.faces.protocol import PORTIONS, portions, with_copies
from offramp.load.weights import save_weights

COPIES = 20
"""Flipped and shifted copies of each picture."""


def teach(all_faces: Faces, identities: int, weights: Path, out: Path) -> Identifier:
    """An identifier of the first subjects, its classifier trained on their portion; writes all its weights.

    Args:
        all_faces: those of ORL.
        identities: how many subjects it shall know.
        weights: MobileFaceNet's.
        out: a safetensors file.
    """
    model = Identifier(identities).eval()
    model.embedder.load_state_dict(pretrained(weights).state_dict())
    mine, _ = portions(all_faces.subject)
    mine = mine[all_faces.subject[mine] < identities]
    seen = with_copies(all_faces.at(mine), mine, COPIES, SMALL, PORTIONS)
    _fit(model, said(model, seen)["embedding"], torch.from_numpy(seen.subject))
    save_weights(model, out)
    return model


def said(model: nn.Module, some: Faces, batch: int = 128) -> dict[str, torch.Tensor]:
    """What the plain model says of faces: logits (N, identities) and embeddings (N, 128)."""
    rows = np.array_split(np.arange(len(some)), -(-len(some) // batch))
    with torch.no_grad():
        parts = [model(PREPROCESS.batch(some.pictures[part])) for part in rows]
    return {name: torch.cat([part[name] for part in parts]) for name in ("logits", "embedding")}


def _fit(model: Identifier, embedding: torch.Tensor, subject: torch.Tensor) -> None:
    """Logistic regression, from zero, so that nothing is drawn."""
    layer = model.classifier
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model.classify(embedding), subject) + 1e-3 * layer.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
