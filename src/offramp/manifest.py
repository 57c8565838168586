"""The manifest of a bundle: everything but the weights, as JSON with a version."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from offramp.calibration_entries import CalibrationEntry, SpreadEntry, VectorEntry
from offramp.entry import Entry
from offramp.errors import BundleError
from offramp.migrations import migrated
from offramp.network_entries import AnyNetwork
from offramp.types import INPUT

SCHEMA_VERSION: Literal[3] = 3

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
Cost = Annotated[float, Field(ge=0.0)]


class ModelEntry(Entry):
    """The backbone the bundle was made for. `spec` and `weights` say how it was loaded; `fingerprint` decides."""

    spec: str | None
    weights: str | None
    type: str
    fingerprint: str
    task: str
    classes: Annotated[int, Field(ge=1)]
    macs: float
    route: Literal["graph", "hooks"] = "graph"


class PhaseEntry(Entry):
    """A phase of a training: steps of the optimizer, and multiply-accumulates of the backbone."""

    name: str
    steps: Count
    macs: Cost


class TrainedEntry(Entry):
    """A copy of the model that was trained; `plain` is the mean loss of the model itself on the report part."""

    fingerprint: str
    regime: str
    phases: Annotated[tuple[PhaseEntry, ...], Field(min_length=1)]
    plain: float


class InputEntry(Entry):
    """One tensor of the input, without its batch axis; `name` is None for a positional one."""

    name: str | None
    shape: tuple[Count, ...]
    dtype: Annotated[str, Field(pattern="^(bool|u?int(8|16|32|64)|b?float(16|32|64))$")]


class PointEntry(Entry):
    """An exit point; see `types.ExitPoint`."""

    name: str
    index: Annotated[int, Field(ge=-1)]
    feature_shape: tuple[Annotated[int, Field(ge=1)], ...]
    depth: Share
    side_values: tuple[str, ...]


class ReductionEntry(Entry):
    """What a head looks at; `size` is that of a grid, or the most numbers that are left of the whole."""

    kind: Literal["grid", "attend", "global", "extremes", "whole"]
    size: Count = 0

    @model_validator(mode="after")
    def _has_cells(self) -> "ReductionEntry":
        if self.kind not in ("global", "whole") and self.size == 0:
            raise ValueError("a grid has at least one cell")
        return self


class StemEntry(Entry):
    """Layers of a head before the linear ones; of each convolution channels, kernel and stride."""

    kind: Literal["mixed", "convolutions", "filter"]
    layers: tuple[tuple[Size, Size, Size], ...] = ()

    @model_validator(mode="after")
    def _has_its_layers(self) -> "StemEntry":
        if not {"mixed": self.layers == (), "filter": len(self.layers) == 1}.get(self.kind, len(self.layers) > 0):
            raise ValueError(f"a stem of the kind {self.kind} has other layers than {self.layers}")
        return self


class ExitEntry(Entry):
    """An exit: where it is, how its head is built, and its calibration; a whole network reduces nothing.

    `cascade` and `ensemble`: see `heads.head.HeadType`.
    """

    point: str
    head: str
    reduction: ReductionEntry | None
    hidden: tuple[Count, ...]
    dropout: Share
    stem: StemEntry | None = None
    network: AnyNetwork | None = None
    cascade: bool = False
    ensemble: bool = False
    calibration: CalibrationEntry

    @model_validator(mode="after")
    def _is_built_somehow(self) -> "ExitEntry":
        if (self.reduction is None) == (self.network is None) or (self.point == INPUT and self.network is None):
            raise ValueError(f"the exit at {self.point!r} has neither a head on a feature nor a network")
        return self


class GateEntry(Entry):
    """A gate by its name, with its weights per exit where it learned some."""

    kind: str
    weights: tuple[tuple[float, ...], ...] = ()


class CostEntry(Entry):
    """A cost profile; see `types.CostProfile`."""

    unit: Literal["macs", "s"]
    upto: tuple[Cost, ...]
    head: tuple[Cost, ...]
    gate: tuple[Cost, ...]
    device: str
    batch_size: Count


class BoundEntry(Entry):
    """A certificate; see `types.Bound`."""

    risk: str
    epsilon: Share
    delta: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    method: str
    n: Count


class OperatingEntry(Entry):
    """An operating point; see `types.OperatingPoint`."""

    name: str
    enabled: tuple[bool, ...]
    threshold: tuple[float, ...]
    loss: float
    cost: float
    exit_share: tuple[float, ...]
    split: str
    bound: BoundEntry | None
    also: tuple[BoundEntry, ...] = ()


class DataEntry(Entry):
    """A data set that was used; `cut`: of how many texts the model was given the beginning alone."""

    name: str
    fingerprint: str
    samples: Count
    cut: Count = 0


class SplitEntry(Entry):
    """How the data was divided; the indices are in `splits.safetensors`."""

    seed: int
    shares: dict[str, float]
    counts: dict[str, Count]


class Manifest(Entry):
    """Everything but the weights."""

    schema_version: Literal[3]
    model: ModelEntry
    trained: TrainedEntry | None
    inputs: Annotated[tuple[InputEntry, ...], Field(min_length=1)]
    preprocess: dict[str, Any] | None
    points: tuple[PointEntry, ...]
    exits: tuple[ExitEntry, ...]
    gate: GateEntry
    costs: tuple[CostEntry, ...]
    risk: str
    goal: dict[str, float]
    operating_points: tuple[OperatingEntry, ...]
    aliases: dict[str, str]
    report: tuple[OperatingEntry, ...]
    data: DataEntry
    extra_data: tuple[DataEntry, ...]
    split: SplitEntry
    provenance: dict[str, Any]

    @model_validator(mode="after")
    def _fits_together(self) -> "Manifest":
        """Refuses parts that cannot belong to each other, since they would fail later and less clearly."""
        inner, known = len(self.exits), {point.name for point in self.points}
        unknown = [exit_.point for exit_ in self.exits if exit_.point not in known]
        if unknown:
            raise ValueError(f"an exit is at {unknown[0]!r}, which is no point")
        for vector in (exit_.calibration for exit_ in self.exits if isinstance(exit_.calibration, VectorEntry)):
            if not (len(vector.scale) == len(vector.bias) and len(vector.scale) in (0, self.model.classes)):
                raise ValueError(f"a vector scaling is not one of {self.model.classes} classes")
        for spread in (exit_.calibration for exit_ in self.exits if isinstance(exit_.calibration, SpreadEntry)):
            if len(spread.scale) not in (0, self.model.classes / 2):
                raise ValueError(f"a calibration of spreads is not one of {self.model.classes / 2:g} values")
        for point in (*self.operating_points, *self.report):
            if not (len(point.enabled) == len(point.threshold) == inner and len(point.exit_share) == inner + 1):
                raise ValueError(f"operating point {point.name!r} is not one of {inner} exits and the backbone")
            if any(one.cascade or one.ensemble for one in self.exits) and len(set(point.enabled)) > 1:
                raise ValueError(
                    f"operating point {point.name!r} has some of the exits on, whose heads hear each other"
                )
        if self.gate.weights and len(self.gate.weights) != inner:
            raise ValueError(f"the gate has weights for {len(self.gate.weights)} exits, not {inner}")
        for cost in self.costs:
            if not (len(cost.upto) == len(cost.head) == len(cost.gate) == inner + 1):
                raise ValueError(f"the costs in {cost.unit} are not those of {inner} exits and the backbone")
        if not any(cost.unit == "macs" for cost in self.costs):
            raise ValueError("there are no costs in macs")
        return self

    def write(self, path: Path) -> None:
        """Writes the manifest, all or nothing."""
        draft = path.with_suffix(".part")
        draft.write_text(self.model_dump_json(indent=2) + "\n")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """The manifest in a file.

        Raises:
            BundleError: if there is none, it is damaged, or its schema is another.
        """
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise BundleError(f"expected a bundle with {path.name} in {path.parent}, found none") from error
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"cannot read {path}: {error}; build the bundle again") from error
        values = migrated(values) if isinstance(values, dict) else values
        version = values.get("schema_version") if isinstance(values, dict) else None
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"expected schema_version {SCHEMA_VERSION} in {path}, got {version}; build the bundle again"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "as a whole"
            raise BundleError(f"damaged manifest {path}: {where}: {first['msg']}; build the bundle again") from error
