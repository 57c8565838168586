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
from offramp.tokeniser import Tokeniser

STEP = 8
"""Batches of texts have a length that is a multiple of this, so that few lengths occur."""

MANY = 256
"""Texts whose tokens are counted at a time."""


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
            found = transformers.AutoTokenizer.from_pretrained(self.source, local_files_only=Path(self.source).is_dir())
        except (OSError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(
                f"expected a tokenizer at {self.source!r}, could not load it ({reason}); "
                "give the folder where it was saved, or a hub name while online"
            ) from error
        if found.pad_token_id is None:
            raise InputError(
                f"expected a tokenizer with a padding token at {self.source!r}, got one without; set its pad_token, "
                "and the pad_token_id of the model's configuration, and save both"
            )
        return found

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

    def check(self, positions: int, model: str) -> None:
        """Refuses texts that may come out longer than a model has positions for.

        Raises:
            InputError: if so.
        """
        if self.max_length > positions:
            raise InputError(
                f"expected max_length of at most {positions}, for which {model} has positions, got {self.max_length}; "
                f"give --max-length {positions} (max_length={positions}) or less, and longer texts are cut"
            )

    def cut(self, texts: Sequence[str]) -> int:
        """How many of the texts have more than `max_length` tokens, so that their ends are cut off."""
        lengths = (
            len(ids)
            for start in range(0, len(texts), MANY)
            for ids in self.tokenizer(list(texts[start : start + MANY]), verbose=False)["input_ids"]
        )
        return sum(length > self.max_length for length in lengths)

    def portable(self) -> Tokeniser:
        """The same tokenizer, truncation and padding included, as it runs without torch and transformers.

        Raises:
            InputError: if the tokenizer cannot be loaded, or is none of the package tokenizers.
        """
        own = self.tokenizer
        backend = getattr(own, "backend_tokenizer", None)
        if backend is None or own.split_special_tokens:
            raise InputError(
                f"expected a tokenizer of the package tokenizers, got {type(own).__name__}, which runs in Python "
                "alone; send token ids"
            )
        found = require("tokenizers", "tokenizers").Tokenizer.from_str(backend.to_str())
        found.enable_truncation(self.max_length, direction=own.truncation_side)
        found.enable_padding(
            direction=own.padding_side,
            pad_id=own.pad_token_id,
            pad_type_id=own.pad_token_type_id,
            pad_token=own.pad_token,
            length=None if MASK in own.model_input_names else self.max_length,
            pad_to_multiple_of=self._multiple,
        )
        return Tokeniser(found.to_str(), self.max_length)

    @property
    def _multiple(self) -> int | None:
        return STEP if self.max_length % STEP == 0 else None  # never beyond the maximum

    def _padded(self, texts: list[str], padding: str) -> dict[str, torch.Tensor]:
        return dict(
            self.tokenizer(
                texts,
                padding=padding,
                pad_to_multiple_of=self._multiple,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            )
        )

    def to_manifest(self) -> dict[str, Any]:
        """A plain dict that JSON can hold; `preprocess_from_manifest` reads it."""
        return {"kind": "tokens", "source": self.source, "max_length": self.max_length}
