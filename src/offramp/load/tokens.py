"""From texts to a batch of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Int

from offramp.errors import DataError, InputError
from offramp.inputs import MASK
from offramp.load.optional import require

STEP = 8
"""Batches of texts have a length that is a multiple of this, so that few lengths occur."""


@dataclass(frozen=True)
class TokenPreprocess:
    """Texts as tokens, by a Hugging Face tokenizer that is loaded when first used.

    A batch is padded to its longest text, and on to a multiple of `STEP` where `max_length` is one; to `max_length`
    where the tokenizer gives no mask, since the model could not tell padding from text.

    Attributes:
        source: folder or hub name of the tokenizer.
        max_length: tokens per text at most, special ones included; the rest is cut off.
    """

    source: str
    max_length: int = 128
    task: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if self.max_length < 1:
            raise InputError(f"expected max_length of at least 1, got {self.max_length}")

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer itself."""
        transformers = require("transformers", "tokenizers")
        try:
            return transformers.AutoTokenizer.from_pretrained(self.source, local_files_only=Path(self.source).is_dir())
        except (OSError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"expected a tokenizer at {self.source!r}, could not load it ({reason}); "
                "give the folder where it was saved, or a hub name while online"
            ) from error

    def batch(self, items: Sequence[Any]) -> dict[str, Int[torch.Tensor, "batch tokens"]]:
        """`input_ids`, `attention_mask` and what else the tokenizer gives, `(B, T)` each.

        Raises:
            DataError: if an item is no text.
        """
        texts = list(items)
        alien = next((item for item in texts if not isinstance(item, str)), None)
        if alien is not None:
            raise DataError(f"expected texts, got {type(alien).__name__}; this model takes text")
        masked = MASK in self.tokenizer.model_input_names
        tokens = self._padded(texts, "longest" if masked else "max_length")
        if not tokens["input_ids"].shape[1]:  # empty texts, and a tokenizer without special tokens
            tokens = self._padded(texts, "max_length")
        return tokens

    def _padded(self, texts: list[str], padding: str) -> dict[str, torch.Tensor]:
        return dict(
            self.tokenizer(
                texts,
                padding=padding,
                pad_to_multiple_of=STEP if self.max_length % STEP == 0 else None,  # never beyond the maximum
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
        )

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold; `preprocess_from_manifest` reads it."""
        return {"kind": "tokens", "source": self.source, "max_length": self.max_length}
