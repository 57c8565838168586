"""A small BERT that tells good films from bad ones, its tokenizer, and a bundle of it, built in seconds."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from benchmarks import torchvision_shim

from offramp.bundle import Bundle
from offramp.load.models import LoadedModel, load_model
from offramp.load.tokens import TokenPreprocess
from offramp.model.augment import Augment
from offramp.pipeline import build
from offramp.recipe import Recipe
from offramp.train.fit import Schedule

torchvision_shim.install()  # transformers imports torchvision where there is one
transformers.utils.logging.disable_progress_bar()  # of weights that are loaded: the tests read what is said

GOOD, BAD, PLAIN = ("good", "great", "fine"), ("bad", "awful", "dull"), ("a", "film", "the", "plot", "is", "café")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *PLAIN, "cafe", "##s", "!", "影", "y")
POSITIONS, LENGTH = 40, 32

HARD = (
    "",
    " ",
    "a good film",
    "A GOOD Café!",
    "the cafe\u0301s is fine",
    "😀 good 🏳️‍🌈",
    "映画 影 is great",
    "[SEP] the [PAD] plot [MASK]",
    "\x00\t\u200b dull\n",
    "‮ שלום",
    "x" * 300,
    "a film is good " * 400,
)
"""Texts that tokenizers treat in ways of their own; the last one is far too long."""

RECIPE = Recipe(
    heads=("token-mlp",),
    points=2,
    regime="distil",
    augment=Augment(copies=0),
    schedule=Schedule(epochs=4, batch_size=32, learning_rate=1e-2),
    gate="max-prob",
    calibrator="temperature",
    searcher="shared",
    source="for tests",
)


def texts(count: int, seed: int = 1) -> list[str]:
    """So many short texts."""
    drawn = np.random.default_rng(seed)
    known = [*GOOD, *BAD, *PLAIN]
    return [" ".join(drawn.choice(known, drawn.integers(1, 24))) for _ in range(count)]


def saved(folder: Path) -> Path:
    """The model and its tokenizer as transformers writes them, in a folder that is made."""
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        num_labels=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def pieces(folder: Path, **attributes: Any) -> Path:
    """A tokenizer of bytes joined to pieces, which knows no unknown character, in a folder that is made."""
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(HARD[:-1], vocab_size=400, special_tokens=["<pad>"], show_progress=False)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=made._tokenizer, pad_token="<pad>", **attributes)
    wrapped.save_pretrained(folder)
    return folder


@cache
def home() -> Path:
    """A folder with the model, for all tests that do not change it."""
    return saved(Path(tempfile.mkdtemp(prefix="offramp-texts-")) / "film")


@cache
def loaded() -> LoadedModel:
    """The model with its tokenizer, which cuts texts at `LENGTH` tokens."""
    return load_model(f"transformers:{home()}", preprocess={"max_length": LENGTH})


def preprocess() -> TokenPreprocess:
    """Its tokenizer."""
    found = loaded().preprocess
    assert isinstance(found, TokenPreprocess)
    return found


@cache
def film() -> Bundle:
    """A bundle of it, for all tests that do not change it."""
    folder = Path(tempfile.mkdtemp(prefix="offramp-texts-"))
    try:
        return build(
            loaded(), texts(400), out=folder / "film", recipe=RECIPE, max_drop=0.2, batch_size=64, timed=(), keep=4
        )
    finally:
        shutil.rmtree(folder)
