"""What the network sees at each step: decided by seed, phase and step alone, so that training goes on anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int

from offramp.errors import DataError, InputError
from offramp.inputs import Inputs, batch_size
from offramp.model.augment import Augment
from offramp.sources import Labels, Source
from offramp.train.fit import held_samples

Batch = tuple[Inputs, torch.Tensor | None]
"""Inputs and, where they are needed, labels."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Samples to learn from, and others to stop by.

    Attributes:
        source: raw inputs.
        labels: one per sample; None where no loss needs them.
        training: the samples that are learnt from.
        held: the samples on which early stopping looks; empty: it does not.
        size: samples of a batch.
        augment: random changes of images in training; its `copies` do not matter here.
        seed: of the order and of the changes.
    """

    source: Source
    labels: torch.Tensor | None
    training: Int[np.ndarray, " training"]
    held: Int[np.ndarray, " held"]
    size: int
    augment: Augment | None
    seed: int

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return max(1, len(self.training) // self.size)

    def at(self, phase: int, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The batch of a step, or one process's equal share of it."""
        epoch, place = divmod(step, self.per_epoch)
        order = _order(self.seed, phase, epoch, len(self.training))
        rows = self.training[order[place * self.size : (place + 1) * self.size][rank::ranks]]
        inputs, labels = self._read(rows)
        if self.augment is not None:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, phase, step, rank))
            inputs = self.augment(inputs, generator)
        return inputs, labels

    def checks(self) -> Iterator[Batch]:
        """The held part, unchanged, in batches."""
        for start in range(0, len(self.held), self.size):
            yield self._read(self.held[start : start + self.size])

    def _read(self, rows: Int[np.ndarray, " batch"]) -> Batch:
        inputs = self.source.inputs(rows)
        if batch_size(inputs) != len(rows):
            raise DataError(f"expected {len(rows)} samples of {self.source.name}, got {batch_size(inputs)}; check it")
        return inputs, None if self.labels is None else self.labels[torch.from_numpy(rows)]


def lesson(
    source: Source,
    labels: Labels | None,
    classes: int,
    *,
    needs_labels: bool,
    held: float,
    size: int,
    augment: Augment | None,
    seed: int,
) -> Lesson:
    """The samples of a source, divided.

    Raises:
        DataError: if labels are needed and missing, not one per sample, or no classes of the model; or if there are too
            few samples.
        InputError: if images would be blended that have labels.
    """
    known = _checked(source, labels, classes) if needs_labels else None
    if needs_labels and augment is not None and augment.mix:
        raise InputError(
            f"expected images that keep their labels, got mix={augment.mix}; set mix=0, or use FromOriginal"
        )
    everything = np.arange(len(source))
    kept = held_samples(len(source), held, seed) if held else everything[:0]
    training = np.setdiff1d(everything, kept)
    if len(training) == 0:
        raise DataError(f"expected at least one sample in {source.name}, got none")
    return Lesson(source, known, training, kept, min(size, len(training)), augment, seed)


def _checked(source: Source, labels: Labels | None, classes: int) -> torch.Tensor:
    if labels is None:
        raise DataError("expected labels for this regime, got none; add labels, or use the loss FromOriginal")
    if len(labels) != len(source):
        raise DataError(f"expected one label for each of {len(source)} samples, got {len(labels)} labels")
    if not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"expected labels in 0..{classes - 1}, the classes of the model, got {labels.min()}..{labels.max()}"
        )
    return torch.from_numpy(np.asarray(labels, np.int64))


@lru_cache(maxsize=4)
def _order(seed: int, phase: int, epoch: int, samples: int) -> Int[np.ndarray, " samples"]:
    order: np.ndarray = np.random.default_rng((seed, phase, epoch)).permutation(samples)
    return order


def mixed_seed(*numbers: int) -> int:
    """One seed from several numbers; equal only where all are."""
    return int(
        np.random.SeedSequence(numbers).generate_state(2, np.uint32).astype(np.uint64) @ np.array([1, 2**31], np.uint64)
    )


@contextmanager
def drawing(device: torch.device, *numbers: int) -> Iterator[None]:
    """Within the block torch draws (dropout) from a seed made of `numbers`; afterwards its own state is as before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(mixed_seed(*numbers))
        yield
