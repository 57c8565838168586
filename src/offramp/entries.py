"""Nouns to entries of the manifest and back."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from offramp import gates
from offramp.calibrate.calibrator import Calibrator
from offramp.calibration_entries import calibration_entry
from offramp.errors import InputError
from offramp.gates.gate import Gate
from offramp.gates.gati import Gati
from offramp.gates.jei import Jei
from offramp.gates.within import Within
from offramp.heads.convolutions import Convolutions, Filter
from offramp.heads.head import HeadType
from offramp.heads.mixed import Mixed
from offramp.heads.reduction import Attend, Extremes, Global, Grid, Reduction, Whole
from offramp.heads.stem import Stem
from offramp.inputs import Inputs
from offramp.manifest import (
    BoundEntry,
    CostEntry,
    ExitEntry,
    GateEntry,
    InputEntry,
    OperatingEntry,
    PointEntry,
    ReductionEntry,
    StemEntry,
)
from offramp.model.fingerprint import model_fingerprint
from offramp.model.pruned import Pruned
from offramp.model.small import Renormalised
from offramp.network_entries import NetworkEntry, SmallEntry
from offramp.types import Bound, Configuration, CostProfile, Exit, ExitPoint, OperatingPoint

Weighted: TypeAlias = Gati | Jei | Within
"""Gates that were fitted, or told something: their `weights` are kept."""


def operating_entry(point: OperatingPoint) -> OperatingEntry:
    """An operating point as the manifest keeps it."""
    return OperatingEntry(
        name=point.name,
        enabled=point.configuration.enabled,
        threshold=point.configuration.threshold,
        loss=point.loss,
        cost=point.cost,
        exit_share=point.exit_share,
        split=point.split,
        bound=None if point.bound is None else BoundEntry(**asdict(point.bound)),
        also=tuple(BoundEntry(**asdict(bound)) for bound in point.also),
    )


def operating_point(entry: OperatingEntry) -> OperatingPoint:
    """The operating point of an entry."""
    return OperatingPoint(
        name=entry.name,
        configuration=Configuration(entry.enabled, entry.threshold),
        loss=entry.loss,
        cost=entry.cost,
        exit_share=entry.exit_share,
        split=entry.split,
        bound=None if entry.bound is None else Bound(**entry.bound.model_dump()),
        also=tuple(Bound(**bound.model_dump()) for bound in entry.also),
    )


def point_entry(point: ExitPoint) -> PointEntry:
    """An exit point as the manifest keeps it."""
    return PointEntry(**asdict(point))


def exit_point(entry: PointEntry) -> ExitPoint:
    """The exit point of an entry."""
    return ExitPoint(**entry.model_dump())


def gate_entry(gate: Gate) -> GateEntry:
    """A gate as the manifest keeps it.

    Raises:
        InputError: if it is none that has a name.
    """
    weights = gate.weights if isinstance(gate, Weighted) else ()
    for name, known in gates.NAMES.items():
        if _weighted(known, weights) == gate:
            return GateEntry(kind=name, weights=weights)
    raise InputError(f"expected a gate that a manifest can name ({', '.join(gates.NAMES)}), got {gate!r}")


def gate_of(entry: GateEntry) -> Gate:
    """The gate of an entry.

    Raises:
        UnknownNameError: listing the known ones.
    """
    return _weighted(gates.gate(entry.kind), entry.weights)


def _weighted(gate: Gate, weights: tuple[tuple[float, ...], ...]) -> Gate:
    return replace(gate, weights=weights) if isinstance(gate, Weighted) else gate


def cost_entry(cost: CostProfile) -> CostEntry:
    """A cost profile as the manifest keeps it."""
    return CostEntry(
        unit="macs" if cost.unit == "macs" else "s",
        upto=tuple(cost.upto.tolist()),
        head=tuple(cost.head.tolist()),
        gate=tuple(cost.gate.tolist()),
        device=cost.device,
        batch_size=cost.batch_size,
    )


def cost_profile(entry: CostEntry) -> CostProfile:
    """The cost profile of an entry."""
    upto, head, gate = (np.array(values) for values in (entry.upto, entry.head, entry.gate))
    return CostProfile(entry.unit, upto, head, gate, device=entry.device, batch_size=entry.batch_size)


def exit_entry(exit_: Exit, head_type: HeadType, calibrator: Calibrator) -> ExitEntry:
    """An exit as the manifest keeps it."""
    return ExitEntry(
        point=exit_.point,
        head=exit_.head,
        reduction=_reduction_entry(head_type.reduction),
        hidden=head_type.hidden,
        dropout=head_type.dropout,
        stem=_stem_entry(head_type.stem),
        cascade=head_type.cascade,
        ensemble=head_type.ensemble,
        calibration=calibration_entry(calibrator),
    )


def student_entry(exit_: Exit, student: Pruned, calibrator: Calibrator) -> ExitEntry:
    """An exit with a copy of the backbone as the manifest keeps it."""
    return _network_exit(exit_, NetworkEntry(left_out=student.left_out), calibrator)


def small_entry(
    exit_: Exit, small: nn.Module, spec: str | None, weights: str | None, calibrator: Calibrator
) -> ExitEntry:
    """A small model of the user's as the manifest keeps it; `small` is what `model.small.small_head` made of it."""
    own, affine = (small.network, small.affine) if isinstance(small, Renormalised) else (small, ((), ()))
    network = SmallEntry(
        spec=spec,
        weights=weights,
        type=type(own).__name__,
        fingerprint=model_fingerprint(own),
        scale=affine[0],
        shift=affine[1],
    )
    return _network_exit(exit_, network, calibrator)


def _network_exit(exit_: Exit, network: NetworkEntry | SmallEntry, calibrator: Calibrator) -> ExitEntry:
    return ExitEntry(
        point=exit_.point,
        head=exit_.head,
        reduction=None,
        hidden=(),
        dropout=0.0,
        network=network,
        calibration=calibration_entry(calibrator),
    )


def head_of(entry: ExitEntry) -> HeadType:
    """The head type of an entry that is on a feature."""
    assert entry.reduction is not None
    stem = _stem(entry.stem)
    return HeadType(_reduction(entry.reduction), entry.hidden, entry.dropout, stem, entry.cascade, entry.ensemble)


def _reduction(entry: ReductionEntry) -> Reduction:
    kinds: dict[str, Callable[[int], Reduction]] = {
        "grid": Grid,
        "attend": Attend,
        "global": lambda _: Global(),
        "extremes": Extremes,
        "whole": Whole,
    }
    return kinds[entry.kind](entry.size)


def _reduction_entry(red: Reduction) -> ReductionEntry:
    if isinstance(red, Grid):
        return ReductionEntry(kind="grid", size=red.size)
    if isinstance(red, Attend):
        return ReductionEntry(kind="attend", size=red.size)
    if isinstance(red, Global):
        return ReductionEntry(kind="global")
    if isinstance(red, Extremes):
        return ReductionEntry(kind="extremes", size=red.size)
    if isinstance(red, Whole):
        return ReductionEntry(kind="whole", size=red.most)
    raise InputError(
        f"expected a reduction that a manifest can name (grid, attend, global, extremes, whole), got {red!r}"
    )


def _stem(entry: StemEntry | None) -> Stem | None:
    if entry is None:
        return None
    if entry.kind == "mixed":
        return Mixed()
    if entry.kind == "convolutions":
        return Convolutions(entry.layers)
    ((_, kernel, stride),) = entry.layers
    return Filter(kernel, stride)


def _stem_entry(stem: Stem | None) -> StemEntry | None:
    if stem is None:
        return None
    if isinstance(stem, Mixed):
        return StemEntry(kind="mixed")
    if isinstance(stem, Convolutions):
        return StemEntry(kind="convolutions", layers=stem.layers)
    if isinstance(stem, Filter):
        return StemEntry(kind="filter", layers=((1, stem.kernel, stem.stride),))
    raise InputError(f"expected a stem that a manifest can name (mixed, convolutions, filter), got {stem!r}")


def input_entries(inputs: Inputs) -> tuple[InputEntry, ...]:
    """The shapes and types of a batch."""
    if isinstance(inputs, dict):
        return tuple(_input_entry(name, tensor) for name, tensor in inputs.items())
    return tuple(_input_entry(None, tensor) for tensor in (inputs if isinstance(inputs, tuple) else (inputs,)))


def _input_entry(name: str | None, tensor: torch.Tensor) -> InputEntry:
    return InputEntry(name=name, shape=tuple(tensor.shape[1:]), dtype=str(tensor.dtype).removeprefix("torch."))


def example_inputs(entries: tuple[InputEntry, ...], batch: int = 2) -> Inputs:
    """Made-up inputs of the recorded shapes, for capturing a model: noise for floats, zeros and ones for integers."""
    generator = torch.Generator().manual_seed(0)
    tensors = [_example(entry, batch, generator) for entry in entries]
    names = [entry.name for entry in entries if entry.name is not None]
    if names:
        return dict(zip(names, tensors, strict=True))
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def _example(entry: InputEntry, batch: int, generator: torch.Generator) -> torch.Tensor:
    dtype: torch.dtype = getattr(torch, entry.dtype)
    noise = torch.randn(batch, *entry.shape, generator=generator)
    return noise.to(dtype) if dtype.is_floating_point else (noise > 0).to(dtype)
