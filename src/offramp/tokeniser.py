"""From texts to tokens where neither torch nor transformers is installed."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from offramp.errors import BundleError, DataError, InputError

FILE = "tokenizer.json"
"""Beside exported stages, the tokenizer as the package tokenizers writes it, truncation and padding included."""

NAMES = ("input_ids", "attention_mask", "token_type_ids")
"""What tokens are called; models that take others cannot be given texts without transformers."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts as a batch of tokens.

    Attributes:
        arrays: by each of `NAMES` an int64 array `(texts, tokens)`.
        cut: positions of the texts that had more tokens than the model is given.
    """

    arrays: Mapping[str, np.ndarray]
    cut: tuple[int, ...]


@dataclass(frozen=True)
class Tokeniser:
    """A Hugging Face tokenizer with its truncation and padding, run by the package tokenizers alone.

    It makes of texts what `TokenPreprocess` makes of them, number by number. Several threads may use it.

    Attributes:
        definition: the JSON of the tokenizer.
        max_length: tokens per text at most, special ones included; the rest is cut off.
    """

    definition: str
    max_length: int

    @classmethod
    def read(cls, folder: Path, max_length: int) -> "Tokeniser":
        """The tokenizer beside exported stages.

        Raises:
            BundleError: if there is none, or it is damaged.
            InputError: if the package tokenizers is missing.
        """
        try:
            found = cls((folder / FILE).read_text(encoding="utf-8"), max_length)
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"expected {FILE} in {folder}: {error}; export the bundle again") from error
        found.ready()
        return found

    def write(self, folder: Path) -> None:
        """Writes it beside exported stages."""
        (folder / FILE).write_text(self.definition, encoding="utf-8")

    def ready(self) -> None:
        """Loads it now.

        Raises:
            BundleError: if it is damaged.
            InputError: if the package tokenizers is missing.
        """
        _ = self._loaded

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The tokens of at least one text, padded to the longest as the tokenizer says.

        Raises:
            DataError: if a text holds what no UTF-8 can say (half of a pair of surrogates).
        """
        backend, padding = self._loaded
        rows: list[tuple[list[int], list[int]]] = []
        cut = []
        for number, text in enumerate(texts):
            try:
                found = backend.encode_batch_fast([text])[0]  # one at a time: what is cut off takes memory until then
            except (TypeError, UnicodeError) as error:
                raise DataError(f"expected Unicode in text {number}, got half of a surrogate pair") from error
            rows.append((found.ids, found.type_ids))
            if len(found.ids) == self.max_length and found.overflowing:
                cut.append(number)
        return Tokens(self._padded(rows, padding), tuple(cut))

    def _padded(self, rows: Sequence[tuple[list[int], list[int]]], padding: Mapping[str, Any]) -> dict[str, np.ndarray]:
        longest = max(len(ids) for ids, _ in rows)
        width = max(longest, padding["length"] or 0)
        width += -width % (padding["pad_to_multiple_of"] or 1)
        width = width or self.max_length  # empty texts, and a tokenizer without special tokens
        ids = np.full((len(rows), width), padding["pad_id"], np.int64)
        kinds = np.full((len(rows), width), padding["pad_type_id"], np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for row, (own, own_kinds) in enumerate(rows):
            place = slice(0, len(own)) if padding["direction"] == "right" else slice(width - len(own), width)
            ids[row, place], kinds[row, place], mask[row, place] = own, own_kinds, 1
        return dict(zip(NAMES, (ids, mask, kinds), strict=True))

    @cached_property
    def _loaded(self) -> tuple[Any, Mapping[str, Any]]:
        """The tokenizer, which truncates but does not pad, and how it would."""
        try:
            library = importlib.import_module("tokenizers")
        except ModuleNotFoundError as error:
            raise InputError(
                "expected the package tokenizers to take texts; pip install 'offramp[text]', or send token ids"
            ) from error
        try:
            backend = library.Tokenizer.from_str(self.definition)
        except Exception as error:  # the package raises Exception itself
            raise BundleError(f"expected a tokenizer in {FILE}, got {error}; export the bundle again") from error
        padding, truncation = backend.padding, backend.truncation
        if padding is None or truncation is None or truncation["max_length"] != self.max_length:
            raise BundleError(
                f"expected a tokenizer in {FILE} that pads, and cuts texts at {self.max_length} tokens, got another; "
                "export the bundle again"
            )
        backend.no_padding()
        return backend, padding
