"""A network with exits and data to look at it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import nn

from offramp.errors import DataError, InputError
from offramp.geometry.criterion import Criterion
from offramp.geometry.norms import recalibrate
from offramp.geometry.settings import Moved
from offramp.geometry.weights import Weights, place
from offramp.heads.network import Answers
from offramp.inputs import Inputs, batch_size, check_finite, device_of, on
from offramp.model.multi_exit import MultiExit
from offramp.model.quantiser import rounds
from offramp.reading import LogitsOf
from offramp.sources import Source
from offramp.train.exiting import Exiting
from offramp.train.layout import layout_of
from offramp.types import BACKBONE

Batch = tuple[Inputs, Num[torch.Tensor, "..."]]
"""Inputs and targets."""


def seen(multi_exit: MultiExit) -> MultiExit:
    """Without the exits that are networks of their own: students and small models."""
    kept = [
        index for index in range(len(multi_exit.exits)) if not isinstance(multi_exit.head(index).reduction, Answers)
    ]
    heads = nn.ModuleList(multi_exit.heads[index] for index in kept)
    return replace(multi_exit, exits=tuple(multi_exit.exits[index] for index in kept), heads=heads)


@dataclass(frozen=True, eq=False)
class Sight:
    """A copy of a network whose weights are replaced by those to be looked at.

    Attributes:
        network: in eval mode.
        batches: inputs and targets.
        criterion: the loss.
        exits: names of the exits, the backbone's own output last.
        spans: by the exit that a part of the backbone leads to, the names of the parameters that no exit before it
            depends on; parts without parameters are left out.
    """

    network: Exiting
    batches: tuple[Batch, ...]
    criterion: Criterion
    exits: tuple[str, ...]
    spans: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls,
        multi_exit: MultiExit,
        logits_of: LogitsOf,
        source: Source,
        rows: Int[np.ndarray, " samples"],
        criterion: Criterion,
        size: int,
    ) -> "Sight":
        """Looks at some samples of a source, in batches of nearly one size.

        Args:
            multi_exit: the model with heads; both are copied.
            logits_of: finds the output in what the model returns.
            source: of the inputs.
            rows: the samples.
            criterion: with a target for each of them, in that order.
            size: samples of a batch, at most.

        Raises:
            DataError: if there are no samples, or inputs are not finite.
            InputError: if the model is rounded to eight bits, so that it has no gradients.
        """
        if rounds(multi_exit.backbone.model.state_dict()):
            raise InputError("expected a model with gradients, got one rounded to eight bits; analyze it before that")
        if len(rows) < 2 or len(criterion.targets) != len(rows):
            raise DataError(f"expected at least two samples, each with a target, got {len(rows)} of {source.name}")
        kept = seen(multi_exit)
        network = Exiting(kept, logits_of, together=True).eval()
        names = _numbered([*(exit_.point for exit_ in kept.exits), BACKBONE])
        spans = _spans(network, kept.backbone.example, names)
        parts = np.array_split(np.arange(len(rows)), -(-len(rows) // size))
        batches = tuple((_read(source, rows[part]), criterion.targets[torch.from_numpy(part)]) for part in parts)
        return cls(network, batches, criterion, names, spans)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters of backbone and heads."""
        return tuple(name for name, _ in self.network.named_parameters())

    def parameters_of(self, part: Moved) -> tuple[str, ...]:
        """The names of the parameters of the backbone, of the heads, or of both."""
        begins = {"all": "", "backbone": "model.", "heads": "heads."}[part]
        return tuple(name for name in self.parameters if name.startswith(begins))

    def place(self, weights: Weights) -> None:
        """Looks at other weights; batch norms get the statistics that the samples have there."""
        place(self.network, weights)
        recalibrate(self.network, self._forward)

    def at(self, weights: Weights) -> Float[np.ndarray, " exits"]:
        """The mean loss of every exit with these weights, batch norms recalibrated."""
        self.place(weights)
        return self.losses()

    def losses(self) -> Float[np.ndarray, " exits"]:
        """The mean loss of every exit with the weights and statistics as they are; may be infinite far from any."""
        total, samples = np.zeros(len(self.exits)), 0
        with torch.no_grad():
            for batch in self.batches:
                found = torch.stack(self.losses_of(batch)).double().cpu().numpy()
                total += found * len(batch[1])
                samples += len(batch[1])
        return total / samples

    def losses_of(self, batch: Batch) -> list[Float[torch.Tensor, ""]]:
        """The mean loss of every exit on one batch, with gradients where they are on."""
        device = device_of(self.network)
        said = self.network(on(batch[0], device), range(len(self.exits)))
        targets = batch[1].to(device)
        return [self.criterion.loss(said[index], targets) for index in range(len(self.exits))]

    def _forward(self) -> None:
        for inputs, _ in self.batches:
            self.network(on(inputs, device_of(self.network)), range(len(self.exits)))


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once: where a point has several exits, all but the first are numbered."""
    return tuple(
        name if (before := list(names[:index]).count(name)) == 0 else f"{name} ({before + 1})"
        for index, name in enumerate(names)
    )


def _spans(network: Exiting, example: Inputs, exits: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parameters of the backbone by the first exit that depends on them."""
    places = layout_of(network, example).parameters
    learnt = {name for name, parameter in network.named_parameters() if parameter.is_floating_point()}
    found = {
        exit_: tuple(
            name for name, piece in places.items() if name in learnt and piece.kind != "head" and piece.stage == k
        )
        for k, exit_ in enumerate(exits)
    }
    return {exit_: names for exit_, names in found.items() if names}


def _read(source: Source, rows: Int[np.ndarray, " batch"]) -> Inputs:
    inputs = source.inputs(rows)
    if batch_size(inputs) != len(rows):
        raise DataError(f"expected {len(rows)} samples of {source.name}, got {batch_size(inputs)}; check it")
    check_finite(inputs, source.name)
    return inputs
