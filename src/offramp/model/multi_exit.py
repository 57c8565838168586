"""The user's model with heads attached, and what they say about a split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from offramp.calibrate.calibrator import Calibrator
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.heads.earlier import Earlier
from offramp.heads.head import Head
from offramp.heads.network import Answers
from offramp.heads.reduction import At, Reduction
from offramp.inputs import Inputs, call, device_of, mask_of, on, shapes, whole_of
from offramp.model.backbone import Backbone
from offramp.model.cache import ORIGINAL, FeatureCache, FeatureKey
from offramp.model.macs import module_macs, network_macs
from offramp.model.taps import tapped
from offramp.reading import LogitsOf
from offramp.types import INPUT, CostProfile, Exit, ExitPoint

ROWS = 1024
"""Rows of a cache that a head sees at once."""


@dataclass(frozen=True, eq=False)
class MultiExit:
    """A backbone with one head per exit; nothing of the user's model is changed or copied.

    Attributes:
        backbone: the analysed model.
        exits: the exits by depth, without the backbone's own output.
        heads: the head of each exit.
        original: the user's model, where the backbone is a copy of it that was trained; else None.
    """

    backbone: Backbone
    exits: tuple[Exit, ...]
    heads: nn.ModuleList
    original: nn.Module | None = None

    def __post_init__(self) -> None:
        depths = [self.backbone.point(exit_.point).index for exit_ in self.exits]
        if len(self.exits) != len(self.heads) or depths != sorted(depths):
            raise InputError("expected one head per exit, and the exits sorted by depth")

    @property
    def points(self) -> tuple[ExitPoint, ...]:
        """The exit points in use, by depth, each once."""
        return tuple(self.backbone.point(name) for name in dict.fromkeys(exit_.point for exit_ in self.exits))

    @property
    def point_of(self) -> tuple[int, ...]:
        """For each exit, the position of its point among `points`."""
        order = {point.name: index for index, point in enumerate(self.points)}
        return tuple(order[exit_.point] for exit_ in self.exits)

    @property
    def together(self) -> bool:
        """Whether what an exit says depends on which exits before it are on.

        Raises:
            InputError: if some heads hear others and some do not.
        """
        hears = {self.head(index).hears for index in range(len(self.exits))}
        if len(hears) > 1:
            raise InputError("expected heads that all hear each other, or none that does; use one kind of head")
        return True in hears

    def head(self, index: int) -> Head:
        """The head of exit `index`."""
        head = self.heads[index]
        assert isinstance(head, Head)
        return head

    def wanted(self) -> list[tuple[str, Reduction]]:
        """The (point, reduction) pairs that the heads read, each once."""
        pairs = [(exit_.point, self.head(index).reduction) for index, exit_ in enumerate(self.exits)]
        return list(dict.fromkeys(pairs))

    def keys(self) -> list[FeatureKey]:
        """Under which key of a `FeatureCache` the head of each exit finds its input."""
        return [(exit_.point, self.head(index).reduction.name) for index, exit_ in enumerate(self.exits)]

    def outputs(self, inputs: Inputs, logits_of: LogitsOf) -> Float[torch.Tensor, "exits batch classes"]:
        """All exits' logits on a batch, the backbone's last, by tapping the original model."""
        inputs = on(inputs, device_of(self.backbone.model))
        found: dict[int, torch.Tensor] = {}
        mask = mask_of(inputs)
        earlier: Earlier = ()

        def keep(name: str, feature: At) -> None:
            nonlocal earlier
            for index in (index for index, exit_ in enumerate(self.exits) if exit_.point == name):
                head = self.head(index)
                found[index], earlier = head.answer(index, head.reduce(feature, mask), earlier)

        keep(INPUT, whole_of(inputs))
        names = [point.name for point in self.points if point.name != INPUT]
        with tapped(self.backbone.model, names, keep=keep):
            final = logits_of(call(self.backbone.model, inputs))
        return torch.stack([*(found[index] for index in range(len(self.exits))), final])

    def record(self, cache: FeatureCache) -> "Recording":
        """What every exit says about a cached split."""
        outputs = np.empty((len(self.exits) + 1, *cache.logits.shape), np.float32)
        outputs[-1] = cache.logits
        self.heads.eval()
        keys = self.keys()  # once: a network's name is a digest
        with torch.no_grad():
            for start in range(0, len(cache.logits), ROWS):
                earlier: Earlier = ()
                for index, key in enumerate(keys):
                    batch = torch.from_numpy(cache.features[key][start : start + ROWS].astype(np.float32))
                    logits, earlier = self.head(index).answer(index, batch.to(device_of(self.head(index).net)), earlier)
                    outputs[index, start : start + ROWS] = logits.cpu().numpy()
        return Recording(outputs, cache.split, self.together, cache.features.get(ORIGINAL))

    def macs(self, gate: Gate | None = None) -> CostProfile:
        """MACs of leaving at each exit, per sample; None: of a gate that only looks at the logits."""
        total = self.backbone.macs
        upto = [self.backbone.point(exit_.point).depth * total for exit_ in self.exits]
        head = [_head_macs(self.head(i), self.backbone, exit_.point) for i, exit_ in enumerate(self.exits)]
        each = 0.0 if gate is None else gate.macs(self.backbone.classes)
        gates = np.array([*[each] * len(upto), 0.0])
        return CostProfile("macs", np.array([*upto, total]), np.array([*head, 0.0]), gates)


def _head_macs(head: Head, backbone: Backbone, point: str) -> float:
    shape = backbone.point(point).feature_shape
    if not isinstance(head.reduction, Answers):
        return module_macs(head, [shape]) + head.macs_heard()
    answers = head.reduction
    given = backbone.example if point == INPUT else torch.zeros(2, *shape)
    if shapes(given) == shapes(answers.like):
        return answers.macs
    return network_macs(answers.network, given, answers.logits_of)  # the backbone was analysed at another size


@dataclass(frozen=True, eq=False)
class Recording:
    """The logits of every exit on a split, the backbone's own last.

    Attributes:
        outputs: raw logits, with all exits on.
        split: name of the split.
        together: whether they would be others with fewer exits on.
        original: logits of the user's model, where the backbone is a trained copy of it.
    """

    outputs: Float[np.ndarray, "exits samples classes"]
    split: str
    together: bool = False
    original: Float[np.ndarray, "samples classes"] | None = None

    @property
    def reference(self) -> Float[np.ndarray, "samples classes"]:
        """Logits of the user's model: the backbone's own, or the original's where the backbone was trained."""
        found: np.ndarray = self.outputs[-1] if self.original is None else self.original
        return found

    def said(self, exit_: int, calibrators: Sequence[Calibrator]) -> Float[np.ndarray, "samples classes"]:
        """Calibrated logits of an exit, as the runtime answers with them; the last exit's are its own."""
        raw: np.ndarray = self.outputs[exit_]
        if exit_ >= len(calibrators):
            return raw
        with torch.no_grad():
            found: np.ndarray = calibrators[exit_](torch.from_numpy(raw)).numpy()
        return found

    def scores(
        self, gate: Gate, calibrators: Sequence[Calibrator], rows: int = ROWS
    ) -> Float[np.ndarray, "exits samples"]:
        """The gate's score of every exit; the last exit's calibrator is the identity."""
        exits, samples, _ = self.outputs.shape
        scores = np.empty((exits, samples))
        with torch.no_grad():
            for start in range(0, samples, rows):
                part = torch.from_numpy(self.outputs[:, start : start + rows])
                for index in range(exits):
                    logits = calibrators[index](part[index]) if index < len(calibrators) else part[index]
                    scores[index, start : start + rows] = gate.score(logits, index).numpy()
        return scores
