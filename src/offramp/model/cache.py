"""One pass of the backbone over a split, kept on disk: reduced features and logits, memory-mapped and resumable.

The frozen forward dominates every build, so it runs once; all heads, regimes and searches then read from here.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from offramp.errors import DataError, InputError
from offramp.heads.reduction import At, Mask, Reduction
from offramp.inputs import Inputs, batch_size, call, described, device_of, mask_of, on, select, whole_of
from offramp.model.augment import Augment
from offramp.model.memory_layout import fastest_layout, laid_out
from offramp.model.modes import frozen
from offramp.model.taps import tapped
from offramp.model.views import Views
from offramp.progress import Progress, silent
from offramp.reading import LogitsOf
from offramp.sources import Source
from offramp.types import INPUT

SAVE_EVERY = 16
"""Batches between two notes of progress; as many are lost at most when the process is killed."""

ZEROS = 2**20
"""Bytes written at a time where space cannot be claimed by a system call."""

FeatureKey = tuple[str, str]
"""(exit point, name of the reduction)."""

ORIGINAL: FeatureKey = ("", "original")
"""Under which key the user's model answers, where the backbone is a trained copy of it."""


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """What the backbone made of a split.

    Attributes:
        split: name of the split.
        samples: distinct samples; row `i` holds sample `i % samples`. Rows from `samples` on are augmented copies, and
            the first are too where the samples themselves were skipped.
        features: per (point, reduction) an array `(rows, width)`.
        logits: the backbone's outputs `(rows, classes)`.
    """

    split: str
    samples: int
    features: dict[FeatureKey, np.ndarray]
    logits: np.ndarray


@dataclass(frozen=True, eq=False)
class Pass:
    """A pass to be made: which features of which samples, and how they are stored.

    Attributes:
        model: the backbone.
        logits_of: picks the logits out of its output.
        wanted: the (point, reduction) pairs to keep.
        identity: fingerprint of model; a cache of another one is not continued but made anew.
        batch_size: samples at a time.
        dtype: how features are stored.
        stage: what the progress is told that runs.
        original: the user's model, where `model` is a trained copy of it; its logits are kept, too.
        half: whether to compute in bfloat16, which is enough to learn from.
    """

    model: nn.Module
    logits_of: LogitsOf
    wanted: Sequence[tuple[str, Reduction]]
    identity: str
    batch_size: int = 128
    dtype: str = "float32"
    stage: str = "backbone"
    original: nn.Module | None = None
    half: bool = False

    def run(
        self,
        source: Source,
        folder: Path,
        *,
        split: str,
        augment: Augment | None = None,
        lend: Bool[np.ndarray, " samples"] | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> FeatureCache:
        """The cache of `source` in `folder`, continued where an earlier run was interrupted.

        Args:
            source: the samples.
            folder: where the cache is kept.
            split: name of the split.
            augment: copies to make besides the samples themselves.
            lend: which samples may be blended into others; default all.
            seed: of the augmentation.
            progress: told about every batch.

        Raises:
            DataError: if the source is empty, or an input or an output is not finite.
            OSError: if the folder cannot be written or the disk is full; found before the first pass.
        """
        lend = np.ones(len(source), bool) if lend is None else lend
        views = Views(source, augment or Augment(copies=0), lend, seed, self.batch_size)
        return self.over(views, folder, split=split, progress=progress)

    def over(self, views: Views, folder: Path, *, split: str, progress: Progress = silent) -> FeatureCache:
        """The cache of all rows of some views; see `run`.

        Raises:
            DataError: if there are none, or an input or an output is not finite.
            OSError: if the folder cannot be written or the disk is full; found before the first pass.
        """
        source, rows = views.source, len(views)
        if len(source) == 0:
            raise DataError(f"expected samples in split {split!r}, got none")
        identity = {**self._identity(source, split), **_augmentation(views)}
        store = _Store(folder, identity, rows, self.dtype)
        masks: list[Mask] = [None]
        named = [(name, (name, red.name), red) for name, red in self.wanted]  # once: a network's name is a digest

        def keep(point: str, feature: At) -> dict[FeatureKey, torch.Tensor]:
            # cloned, since the reduction of a vector is the vector itself, on which the model may go on in place
            return {key: red(feature, masks[0]).clone() for name, key, red in named if name == point}

        original = self.original or nn.Identity()
        device = device_of(self.model)
        with frozen(self.model):
            layout = fastest_layout(self.model, views.at(0)) if self.half else torch.contiguous_format
        shorter = torch.autocast(device.type, torch.bfloat16, enabled=self.half)
        with frozen(self.model), frozen(original), tapped(self.model, self._points(), keep) as reduced:
            while store.done < rows:
                inputs = laid_out(on(views.at(store.done), device), layout)
                masks[0] = mask_of(inputs)
                entered = keep(INPUT, whole_of(inputs))  # first: the model may work on them in place
                if self.original is not None:
                    copied = select(inputs, torch.arange(batch_size(inputs)))
                    entered[ORIGINAL] = self.logits_of(call(original, copied))
                try:
                    with shorter:
                        logits = self.logits_of(call(self.model, inputs))
                except IndexError as error:
                    raise DataError(_beyond(error, inputs, store.done % len(source))) from error
                if not torch.isfinite(logits).all():
                    raise DataError(
                        f"expected finite outputs, got NaN from the backbone near sample {store.done % len(source)}"
                    )
                arrays = {key: value for point in (entered, *reduced.values()) for key, value in point.items()}
                store.append(logits, arrays)
                progress(f"{self.stage} over {split}", store.done, rows)
        return store.close(split, len(source))

    def _points(self) -> list[str]:
        return list(dict.fromkeys(point for point, _ in self.wanted if point != INPUT))

    def _identity(self, source: Source, split: str) -> dict[str, Any]:
        return {
            "model": self.identity,
            "data": source.fingerprint(),
            "samples": len(source),
            "wanted": sorted(f"{point}|{reduction.name}" for point, reduction in self.wanted),
            "split": split,
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            **({"half": True} if self.half else {}),
        }


def _beyond(error: IndexError, inputs: Inputs, first: int) -> str:
    """What is said where a model has no such row in one of its tables."""
    return (
        f"expected numbers and lengths that the model knows, got {described(inputs)} in the samples from {first} on, "
        f"on which it raises {error}; give ids of its own vocabulary, and texts no longer than it has positions for"
    )


def _augmentation(views: Views) -> dict[str, Any]:
    """What the copies depend on; where there are none, nothing."""
    if views.augment.copies == 0:
        return {}
    lend = hashlib.sha256(views.lend.tobytes()).hexdigest()
    skipped = {"skip": views.skip} if views.skip else {}
    return {"augment": repr(views.augment), "lend": lend, "seed": views.seed, **skipped}


class _Store:
    """Arrays that grow row by row in a folder, with a note of how far they have come."""

    def __init__(self, folder: Path, identity: dict[str, Any], rows: int, dtype: str) -> None:
        self.folder, self.identity, self.rows, self.dtype = folder, identity, rows, dtype
        self.arrays: dict[FeatureKey | None, np.memmap[Any, Any]] = {}
        self.done = 0
        self.unsaved = 0
        self.note = folder / "progress.json"
        self._resume()

    def _resume(self) -> None:
        try:
            noted = json.loads(self.note.read_text())
            if noted["identity"] != self.identity:
                raise ValueError("another pass")
            names = {None if key is None else tuple(key): name for key, name in noted["arrays"]}
            self.arrays = {key: _opened(self.folder / name) for key, name in names.items()}
            self.done = int(noted["done"])
        except (OSError, ValueError, KeyError, TypeError):
            self.arrays, self.done = {}, 0
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)

    def append(self, logits: torch.Tensor, features: dict[FeatureKey, torch.Tensor]) -> None:
        values: dict[FeatureKey | None, np.ndarray] = {None: logits.float().cpu().numpy()}
        values |= {key: self._stored(value) for key, value in features.items()}
        if not self.arrays:
            self.arrays = {key: self._create(index, value) for index, (key, value) in enumerate(values.items())}
        count = len(logits)
        for key, value in values.items():
            if value.shape[1:] != self.arrays[key].shape[1:]:
                raise InputError(f"expected features of one size, got {value.shape[1:]}; give inputs of one size")
            self.arrays[key][self.done : self.done + count] = value
        self.done += count
        self.unsaved += 1
        if self.unsaved >= SAVE_EVERY or self.done == self.rows:
            self._save()

    def _stored(self, feature: torch.Tensor) -> np.ndarray:
        if self.dtype == "float16":
            feature = feature.clamp(-65504, 65504)
        return feature.float().cpu().numpy().astype(self.dtype)

    def _create(self, index: int, value: np.ndarray) -> "np.memmap[Any, Any]":
        path, shape = self.folder / f"{index}.npy", (self.rows, *value.shape[1:])
        try:
            array = np.lib.format.open_memmap(path, mode="w+", dtype=value.dtype, shape=shape)
            _reserve(path, array.offset)
        except OSError as error:
            size = f"{value.dtype.itemsize * math.prod(shape) / 2**20:.0f} MiB"
            reason = f"cannot reserve {size} for features: {error.strerror}; free space or choose another folder"
            raise OSError(error.errno, reason, str(self.folder)) from error
        return array

    def _save(self) -> None:
        for array in self.arrays.values():
            array.flush()
        arrays = [[key, f"{index}.npy"] for index, key in enumerate(self.arrays)]
        draft = self.note.with_suffix(".part")
        draft.write_text(json.dumps({"identity": self.identity, "arrays": arrays, "done": self.done}))
        draft.replace(self.note)
        self.unsaved = 0

    def close(self, split: str, samples: int) -> FeatureCache:
        opened = {key: np.asarray(array) for key, array in self.arrays.items()}
        logits = opened.pop(None)
        return FeatureCache(split, samples, {key: array for key, array in opened.items() if key}, logits)


def _opened(path: Path) -> "np.memmap[Any, Any]":
    """An array to be written on; one that was cut short is refused, where opening it for writing would add zeros."""
    np.lib.format.open_memmap(path, mode="r")
    return np.lib.format.open_memmap(path, mode="r+")


def _reserve(path: Path, offset: int) -> None:
    """Claims the space of a file now: a full disk is an error here, and kills the process once memory is mapped."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, size)
            return
        file.seek(offset)
        for start in range(offset, size, ZEROS):
            file.write(bytes(min(ZEROS, size - start)))
