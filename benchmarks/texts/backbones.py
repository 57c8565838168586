"""The two models a user may come with: MiniLM-L6 with a linear classifier, and fine-tuned as a whole."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from benchmarks.texts.network import Linear, folder, transformers
from offramp.load.tables import TextTable
from offramp.load.tokens import TokenPreprocess
from offramp.sources import Labels

BATCH = 32
"""Texts at a time."""


def train_linear(texts: TextTable, labels: Labels, out: Path) -> None:
    """Trains the classifier on the sentence embeddings of the texts; writes all weights."""
    rows = len(texts)
    model = Linear(int(labels.max()) + 1).eval()
    batches = np.array_split(np.arange(rows), rows // 128)
    with torch.no_grad():
        x = torch.cat([model.embed(**_tokens(texts, batch)) for batch in batches])
    y = torch.from_numpy(labels)
    optimizer = torch.optim.LBFGS(model.classifier.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model.classifier(x), y) + 1e-4 * model.classifier.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    save_file(model.state_dict(), out)


def fine_tune(texts: TextTable, labels: Labels, epochs: int, seed: int, out: Path) -> None:
    """Trains the whole network on the texts; writes model and tokenizer as transformers does."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _fine_tuned(texts, labels, epochs, seed).save_pretrained(out)
    TokenPreprocess(folder()).tokenizer.save_pretrained(out)


def _fine_tuned(texts: TextTable, labels: Labels, epochs: int, seed: int) -> Any:
    rows = len(texts)
    model = transformers().AutoModelForSequenceClassification.from_pretrained(
        folder(), num_labels=int(labels.max()) + 1, local_files_only=True, dtype=torch.float32
    )
    generator = np.random.default_rng(seed)
    steps = epochs * (rows // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-4, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(epochs):
        order = generator.permutation(rows)
        for start in range(0, rows - BATCH + 1, BATCH):
            _step(model, texts, labels, np.sort(order[start : start + BATCH]))
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return model.eval()


def _step(model: nn.Module, texts: TextTable, labels: Labels, rows: np.ndarray) -> None:
    logits = model(**_tokens(texts, rows)).logits
    F.cross_entropy(logits, torch.from_numpy(labels[rows])).backward()  # type: ignore[no-untyped-call]


def _tokens(texts: TextTable, rows: np.ndarray) -> dict[str, torch.Tensor]:
    found = texts.inputs(rows)
    assert isinstance(found, dict)
    return {name: found[name] for name in ("input_ids", "attention_mask")}
