"""Exit points of a model that cannot be captured, found by trying: dropping samples must change nothing else."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from offramp.errors import CaptureError
from offramp.inputs import Inputs, batch_size, call, leaves, rebuild, select
from offramp.model.backbone import DEEPEST, Backbone, same
from offramp.model.capture import copy
from offramp.model.leaving import leaving
from offramp.model.modes import frozen, restored
from offramp.model.taps import call_name, called, first_tensor
from offramp.reading import LogitsOf
from offramp.types import INPUT, ExitPoint

MOST_TRIED = 48
"""Each candidate costs a forward; of more than this many those evenly spread over the cost are tried."""

ROWS, STAYING = (0, 1, 0, 1), (3, 2)
"""Which of two samples the rows of a trial are, and the rows that stay. They are the first two in another order, so
that reading the first rows of something unshrunk shows; and two, since one would be broadcast where it must not be."""

BATCH = len(ROWS)


@dataclass(frozen=True)
class _Seen:
    """A call of a module: what had been spent when it ended, and the shape of its feature."""

    name: str
    macs: float
    shape: tuple[int, ...]


def by_hooks(
    model: nn.Module, example_inputs: Inputs, logits_of: LogitsOf, names: Sequence[str] | None = None
) -> Backbone:
    """The model with every exit point at which a hook can drop samples from the batch.

    A point is legal when the answers with the hook equal those of the model on the remaining samples. Points inside a
    residual branch, or behind which the model reads a mask or a batch size of the whole batch, fail that.

    Args:
        model: any module; left as it was found.
        example_inputs: inputs such as the model will get.
        logits_of: picks the logits out of the model's output.
        names: the points wanted, where they are known; default all that are worth an exit.

    Raises:
        CaptureError: if the model does not run, counts no MACs, or has no such point.
    """
    example = select(_two(example_inputs), torch.tensor(ROWS))
    staying = torch.tensor(STAYING)
    with frozen(model), restored(model), _buffers_restored(model):
        try:
            seen, total, answer = _watched(model, example, logits_of)
            expected = logits_of(call(model, select(example, staying)))
        except CaptureError:
            raise
        except Exception as error:
            raise CaptureError(f"{type(model).__name__} does not run: {type(error).__name__}: {error}") from error
        tried = _candidates(seen, total) if names is None else [one for one in seen if one.name in names]
        found = [one for one in tried if _legal(model, example, logits_of, one, staying, expected)]
    missing = [name for name in names or () if name != INPUT and name not in {one.name for one in found}]
    if missing or not (found or (names is not None and set(names) <= {INPUT})):
        where = ", ".join(missing) or f"no module of {type(model).__name__}"
        raise CaptureError(f"{where} can{'not' if missing else ''} drop samples from the batch")
    points = (
        ExitPoint(name=one.name, index=index, feature_shape=one.shape, depth=one.macs / total)
        for index, one in enumerate(found)
    )
    return Backbone(model, select(example, torch.arange(2)), tuple(points), int(answer.shape[1]), total, None)


def _two(inputs: Inputs) -> Inputs:
    """Two samples that differ; of a single one a fainter copy is made where it is made of numbers."""
    two = select(inputs, torch.arange(2) % batch_size(inputs))
    if batch_size(inputs) > 1:
        return two
    return rebuild(two, [torch.stack([t[0], 0.9 * t[1]]) if t.is_floating_point() else t for t in leaves(two)])


@contextmanager
def _buffers_restored(model: nn.Module) -> Iterator[None]:
    """Refuses a model that writes to its buffers in eval mode, since its answers depend on earlier batches."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        after = dict(model.named_buffers())
        kept = [name for name in before if name in after and after[name].shape == before[name].shape]
        changed = [name for name in kept if not torch.equal(after[name], before[name])]
        with torch.no_grad():
            for name in changed:
                after[name].copy_(before[name])
        changed += sorted((before.keys() | after.keys()) - set(kept))
    if changed:
        raise CaptureError(f"{type(model).__name__} writes to its buffers {', '.join(changed)} in eval mode")


def _watched(model: nn.Module, example: Inputs, logits_of: LogitsOf) -> tuple[list[_Seen], float, torch.Tensor]:
    """The modules in the order in which they end, MACs of the whole model per sample, and its answer."""
    seen: list[_Seen] = []
    calls: Counter[str] = Counter()
    # The counter knows fused attention on CPU as 0; the plain implementation is made of what it can count.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:

        def hook_for(name: str) -> Any:
            def hook(_module: nn.Module, _args: Any, output: Any) -> None:
                call = call_name(name, calls[name])
                calls[name] += 1
                try:
                    feature = first_tensor(output)
                except CaptureError:
                    return
                if feature.is_floating_point() and feature.ndim > 1 and feature.shape[0] == BATCH:
                    seen.append(_Seen(call, counter.get_total_flops() / 2 / BATCH, tuple(feature.shape[1:])))

            return hook

        handles = [module.register_forward_hook(hook_for(name)) for name, module in model.named_modules() if name]
        try:
            answer = logits_of(call(model, copy(example)))
        finally:
            for handle in handles:
                handle.remove()
    return [one for one in seen if not _plain(model, one.name)], counter.get_total_flops() / 2 / BATCH, answer


def _plain(model: nn.Module, name: str) -> bool:
    """A plain sequence yields to its last child, as in a captured model."""
    return type(model.get_submodule(called(name)[0])) is nn.Sequential


def _candidates(seen: list[_Seen], total: float) -> list[_Seen]:
    """Of modules that end at one cost the last, at most `MOST_TRIED`, spread evenly."""
    last = {one.macs: one for one in seen if 0 < one.macs <= DEEPEST * total}
    ordered = sorted(last.values(), key=lambda one: one.macs)
    if len(ordered) <= MOST_TRIED:
        return ordered
    wanted = [(index + 1) / (MOST_TRIED + 1) * total for index in range(MOST_TRIED)]
    near = {min(ordered, key=lambda one: abs(one.macs - w)) for w in wanted}
    return sorted(near, key=lambda one: one.macs)


def _legal(
    model: nn.Module,
    example: Inputs,
    logits_of: LogitsOf,
    one: _Seen,
    staying: torch.Tensor,
    expected: torch.Tensor,
) -> bool:
    try:
        with leaving(model, [one.name], lambda _index, _feature: staying):
            return same(expected, logits_of(call(model, copy(example))))
    except Exception:  # whatever the model's own code makes of a batch that shrank on the way
        return False
