"""The nouns: frozen, validated, and free of torch.

Axes: `E` exits (the backbone's own output is always the last), `N` samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from offramp.arrays import Bool, Float
from offramp.errors import InputError

INPUT = "input"
"""Name of the exit point before the backbone: whole networks can be heads there."""

BACKBONE = "backbone"
"""Name of the last exit: the backbone's own output."""


@dataclass(frozen=True, slots=True)
class ExitPoint:
    """A place where the backbone can be left.

    Attributes:
        name: dotted path of the module whose output is the feature.
        index: position among the legal points of the model, from 0.
        feature_shape: shape of the feature without the batch axis.
        depth: share of the backbone's MACs spent before this point, in [0, 1].
        side_values: names of what else travels with the batch: values that depend on the inputs alone (an attention
            mask), and earlier hidden tensors that are needed later on (the skips of a U-Net).
    """

    name: str
    index: int
    feature_shape: tuple[int, ...]
    depth: float
    side_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """A head of the type `head` at the exit point `point`; several exits may share a point."""

    point: str
    head: str

    @property
    def name(self) -> str:
        """`point/head`, unique within a bundle."""
        return f"{self.point}/{self.head}"


@dataclass(frozen=True, slots=True, eq=False)
class CostProfile:
    """What leaving at each exit costs, per sample.

    Attributes:
        unit: `"macs"` or `"s"` (seconds).
        upto: backbone cost spent when the feature of exit e is ready; the last entry is the whole backbone.
        head: cost of the head of exit e; 0 for the backbone's own output.
        gate: cost of the gate of exit e.
        device: where seconds were measured.
        batch_size: batch at which seconds were measured.
    """

    unit: str
    upto: Float[np.ndarray, " exits"]
    head: Float[np.ndarray, " exits"]
    gate: Float[np.ndarray, " exits"]
    device: str = "cpu"
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.unit not in ("macs", "s"):
            raise InputError(f"expected the cost unit 'macs' or 's', got {self.unit!r}")
        if not (self.upto.shape == self.head.shape == self.gate.shape) or self.upto.size == 0:
            shapes = (self.upto.shape, self.head.shape, self.gate.shape)
            raise InputError(f"expected upto, head and gate of one shape (exits,), got {shapes}")
        if np.any(np.diff(self.upto) < 0) or np.any(self.head < 0) or np.any(self.gate < 0):
            raise InputError("expected costs that are not negative and grow with depth; sort the exits by depth")
        if self.upto[-1] <= 0:
            raise InputError(f"expected a backbone that costs something, got {self.upto[-1]} {self.unit}")

    @property
    def backbone(self) -> float:
        """Cost of the plain backbone on one sample."""
        return float(self.upto[-1])

    def leaving(self, enabled: Bool[np.ndarray, " inner"]) -> Float[np.ndarray, " exits"]:
        """Cost of leaving at each exit when the heads in `enabled` (all exits but the last) are evaluated."""
        on = np.append(enabled, True)
        cost: np.ndarray = self.upto + np.cumsum(np.where(on, self.head + self.gate, 0.0))
        return cost


@dataclass(frozen=True, slots=True, eq=False)
class ExitTable:
    """All that a decision needs to know about a split.

    Attributes:
        score: higher = safer to stop; the row of the last exit is never compared with a threshold.
        loss: additive per-sample loss of answering at exit e (disagreement with the backbone, or error).
        cost: what each exit costs.
        split: name of the split the samples come from; certification refuses the split that chose.
        risk: what `loss` is: `"disagreement"` or `"error"`.
        rule: how the scores decide; see `decide.rule`. With another rule than `"direct"` what is compared with a
            threshold depends on which exits are on.
        together: whether scores and losses are those of all exits being on, and would be others with fewer, since later
            heads hear earlier ones.
        reference: loss of the model that drops are held against; None: the last exit is that model. Given where the
            backbone is a trained copy of the user's model.
    """

    score: Float[np.ndarray, "exits samples"]
    loss: Float[np.ndarray, "exits samples"]
    cost: CostProfile
    split: str
    risk: str = "disagreement"
    rule: str = "direct"
    together: bool = False
    reference: Float[np.ndarray, " samples"] | None = None

    def __post_init__(self) -> None:
        if self.score.shape != self.loss.shape or self.score.shape[0] != self.cost.upto.size:
            raise InputError(
                f"expected score and loss of shape ({self.cost.upto.size} exits, samples), "
                f"got {self.score.shape} and {self.loss.shape}"
            )
        if self.score.shape[1] == 0:
            raise InputError(f"expected at least one sample in split {self.split!r}, got none")
        if any(np.isnan(values).any() for values in (self.score, self.loss, self.plain)):
            raise InputError(
                f"expected numbers as scores and losses, got NaN in split {self.split!r}; check the inputs"
            )

    @property
    def exits(self) -> int:
        """Number of exits, the backbone's own output included."""
        return int(self.score.shape[0])

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.score.shape[1])

    @property
    def plain(self) -> Float[np.ndarray, " samples"]:
        """Loss of the model that drops are held against."""
        found: np.ndarray = self.loss[-1] if self.reference is None else self.reference
        return found


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which exits are on, and from which score on a sample leaves there.

    Attributes:
        enabled: one flag per exit but the last (the backbone's own output is always on).
        threshold: one number per exit but the last; a sample leaves when `score >= threshold`. Ignored where disabled.
    """

    enabled: tuple[bool, ...]
    threshold: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.enabled) != len(self.threshold):
            raise InputError(
                f"expected one threshold per exit, got {len(self.enabled)} flags and {len(self.threshold)} thresholds"
            )
        if any(on and np.isnan(t) for on, t in zip(self.enabled, self.threshold, strict=True)):
            raise InputError(f"expected numbers as thresholds of enabled exits, got {self.threshold}")

    @classmethod
    def full(cls, inner: int) -> "Configuration":
        """The configuration that never leaves early, for a model with `inner` exits besides the last."""
        return cls((False,) * inner, (1.0,) * inner)


@dataclass(frozen=True, slots=True)
class Bound:
    """With probability >= 1 - `delta` over the split, the `risk` of the operating point is at most `epsilon`.

    Where `delta` is None, that is so only on average over draws of the split, for the cheapest point of that `epsilon`.

    Attributes:
        risk: `"disagreement"` with the backbone; `"error"`: the share of samples that the backbone gets right and
            the early exit gets wrong, which bounds the loss of accuracy; or `"gap"`: the loss of accuracy itself. Of
            some of the samples what the task calls it, such as `"misses"`: disagreement where the backbone sees one.
        epsilon: the bound, as a share of samples.
        delta: probability that the bound fails, shared by all points that were certified together; None for a bound on
            the average, of which nothing is known on the split at hand.
        method: how it was proved.
        n: number of samples of the split that proved it.
    """

    risk: str
    epsilon: float
    delta: float | None
    method: str
    n: int

    def __post_init__(self) -> None:
        if self.delta is not None and not 0.0 < self.delta < 1.0:
            raise InputError(
                f"expected delta in (0, 1), or None for a bound on the average, got {self.delta}; "
                "certify with a guarantee that says which"
            )

    @property
    def holds(self) -> str:
        """In which sense it holds, in words.

        >>> Bound("disagreement", 0.01, 0.1, "exact", 1000).holds
        'with probability 0.9'
        >>> Bound("disagreement", 0.01, None, "conformal", 1000).holds
        'on average over draws of the certify part'
        """
        if self.delta is None:
            return "on average over draws of the certify part"
        return f"with probability {1 - self.delta:g}"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A configuration with what it is expected to do.

    Attributes:
        name: how the user calls it.
        configuration: which exits are on, and their thresholds.
        loss: mean loss on `split`.
        cost: mean cost on `split` as a share of the plain backbone's.
        exit_share: share of samples that leaves at each exit, the last included.
        split: the split on which these figures were taken.
        bound: the certificate; present only after `certify`.
        also: certificates for some of the samples, such as the share of alarms that are missed.
    """

    name: str
    configuration: Configuration
    loss: float
    cost: float
    exit_share: tuple[float, ...] = field(repr=False)
    split: str
    bound: Bound | None = None
    also: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """Operating points sorted by cost, none of them dominated in (cost, loss)."""

    points: tuple[OperatingPoint, ...]

    def __post_init__(self) -> None:
        pairs = [(p.cost, p.loss) for p in self.points]
        for (c0, l0), (c1, l1) in pairwise(pairs):
            if not (c0 < c1 and l0 > l1):
                raise InputError(
                    "expected points sorted by cost, none dominated; build the front with decide.pareto.front"
                )

    def __iter__(self) -> Iterator[OperatingPoint]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a search is asked for: a mean excess loss over the backbone of at most `max_drop` (a share, 0.01 = 1 %)."""

    max_drop: float

    def __post_init__(self) -> None:
        if not 0.0 < self.max_drop <= 1.0:
            raise InputError(f"expected max_drop as a share in (0, 1], got {self.max_drop}; write 1 % as 0.01")
