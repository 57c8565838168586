"""A model with eight-bit arithmetic, made by NNCF after training; to everything else it is one more model.

NNCF says where numbers are rounded and to what, from unlabelled inputs. Its own quantisers, which are made for training
on, are replaced by ours, whose every number is in the state dict: the weights of a quantised model can be kept in any
file of tensors, and `rebuilt` puts the quantisers back in their places by name.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn
from torch.overrides import TorchFunctionMode

from offramp.errors import CaptureError, InputError
from offramp.inputs import Inputs, call, device_of, leaves
from offramp.load.optional import require
from offramp.load.sources import open_source
from offramp.load.trial import tried
from offramp.model.modes import frozen
from offramp.model.quantiser import AXIS, HOOKS, SCALE, ZERO_POINT, Factor, Quantiser, rounds
from offramp.reading import reader
from offramp.sources import Source
from offramp.tasks.classification import Classification
from offramp.tasks.task import Task

SAMPLES = 300
"""Inputs that are looked at; NNCF's own default."""

BATCH = 32
"""Inputs at a time; of the largest values in each batch the mean is taken."""


def quantised(model: nn.Module, data: Any, *, samples: int = SAMPLES, transformer: bool | None = None) -> nn.Module:
    """A copy of `model` that rounds weights and activations to eight bits, ready for `build`.

    Its numbers are still floats, on which heads are trained and calibrated; exported stages compute with integers.
    `load_model` takes its state dict as weights of the model.

    Args:
        model: any module that NNCF can trace; left as it was found.
        data: unlabelled inputs, as `open_source` takes them, which say how large activations become.
        samples: how many of the inputs are looked at, spread evenly.
        transformer: whether it is treated as a transformer, whose sums and norms stay as they are; default where it
            computes attention.

    Raises:
        InputError: if NNCF is not installed, or the model is quantised already.
        DataError: if the model does not take the data.
        CaptureError: if NNCF cannot quantise the model, with its reason.
    """
    nncf = require("nncf", "quantising a model")
    if samples < 1:
        raise InputError(f"expected at least one sample to look at, got {samples}")
    if rounds(model.state_dict()):
        raise InputError(f"expected a model in floating point, got a quantised {type(model).__name__}; use it as it is")
    source = open_source(data)
    chosen = _spread(len(source), samples)
    batches = np.array_split(chosen, max(len(chosen) // BATCH, 1))
    tried(model, source.inputs(batches[0]), source.name)
    mine = _keeping(copy.deepcopy(model).cpu())  # on a GPU NNCF needs a compiler
    try:
        with _quiet(), _ready_made(), frozen(mine):
            attentive = _attends(mine, source.inputs(batches[0])) if transformer is None else transformer
            kind = nncf.ModelType.TRANSFORMER if attentive else None
            data = _dataset(nncf, source, batches)
            found: nn.Module = nncf.quantize(mine, data, subset_size=len(batches), model_type=kind)
            _settle(found)
    except Exception as error:  # whatever NNCF or the model's own code raises
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise CaptureError(f"cannot quantise {type(model).__name__}: {type(error).__name__}: {reason}") from error
    return found.eval().to(device_of(model))


def agreement(
    model: nn.Module, other: nn.Module, data: Any, *, samples: int = SAMPLES, task: Task | None = None
) -> tuple[float, int]:
    """The share of inputs to which two models give the same answer, and of how many inputs.

    Args:
        model: any model of the task.
        other: made from it by `quantised`.
        data: unlabelled inputs.
        samples: at most so many, and none that `quantised` looked at if there are others.
        task: says how far two answers are apart; default: classification.
    """
    source, by = open_source(data), task or Classification()
    seen = _spread(len(source), samples)
    rest = np.setdiff1d(np.arange(len(source)), seen)
    chosen = rest[_spread(len(rest), samples)] if len(rest) else seen
    said: list[list[np.ndarray]] = []
    for batch in np.array_split(chosen, max(len(chosen) // BATCH, 1)):
        inputs = source.inputs(batch)
        with frozen(model), frozen(other):
            said.append([reader(by)(call(one, inputs)).cpu().numpy() for one in (model, other)])
    plain, rounded = (np.concatenate(outputs) for outputs in zip(*said, strict=True))
    return 1.0 - float(by.settled(plain).disagreement(rounded[None], plain).mean()), len(chosen)


def _spread(count: int, samples: int) -> Int[np.ndarray, " chosen"]:
    return np.unique(np.linspace(0, count - 1, min(samples, count)).astype(np.int64))


def rebuilt(model: nn.Module, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """`model`, as it was built, with the quantisers that `state` has; the weights are still to be filled in."""
    hooks = require("nncf.torch.function_hook", "a quantised model")
    hooks.wrap_model(_keeping(model))
    storage = hooks.get_hook_storage(model)
    for name, tensors in _places(state).items():
        storage.insert_hook_by_name(name, _module(name, tensors))
    return model


class _Calls(TorchFunctionMode):
    """Notes the names of torch's functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


def _attends(model: nn.Module, inputs: Inputs) -> bool:
    """Whether a model computes attention, fused or by a softmax between layer norms."""
    with _Calls() as calls:
        call(model, inputs)
    fused = {"scaled_dot_product_attention", "multi_head_attention_forward"}
    return not fused.isdisjoint(calls.names) or {"softmax", "layer_norm"} <= calls.names


def _keeping(model: nn.Module) -> nn.Module:
    """The model, able to keep hooks: a Sequential would run them as one more layer."""
    if type(model).forward is nn.Sequential.forward:
        kind = type(model)
        model.__class__ = type(kind.__name__, (kind,), {"__iter__": _layers})
    return model


def _layers(model: nn.Sequential) -> Iterator[nn.Module]:
    return (layer for name, layer in model.named_children() if name != HOOKS)


def _places(state: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """By the names of hooks the tensors of each."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith(f"{HOOKS}."):
            place, _, own = name.removeprefix(f"{HOOKS}.").rpartition(".")
            found.setdefault(place, {})[own] = tensor
    return found


def _module(name: str, tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    match sorted(tensors):
        case ["factor"]:
            return Factor(tensors["factor"].clone())
        case ["axis", "scale", "zero_point"]:
            return Quantiser(tensors[SCALE].clone(), tensors[ZERO_POINT].clone(), int(tensors[AXIS]))
    raise InputError(
        f"expected the quantisers of offramp, got {', '.join(sorted(tensors))} at {name}; quantise the model anew"
    )


def _dataset(nncf: Any, source: Source, batches: list[np.ndarray]) -> Any:
    def given(batch: np.ndarray) -> Any:
        inputs = source.inputs(batch)
        return inputs if isinstance(inputs, dict) else leaves(inputs)

    return nncf.Dataset(batches, given)


def _settle(model: nn.Module) -> None:
    """Puts our modules in the places of NNCF's.

    One of NNCF's may stand at several places; of ours each is its own, since the exporter calls modules otherwise
    than by their paths where any module of a model has two.
    """
    storage: Any = model.get_submodule(HOOKS)
    for name, hook in list(storage.named_hooks(remove_duplicate=False)):
        storage.set_submodule(name, _settled(hook))


def _settled(hook: Any) -> nn.Module:
    if type(hook).__name__ == "SQMultiply":
        return Factor(hook.scale.detach().clone())
    hook.set_levels()
    low, high, scale, zero = hook.get_parameters_for_torch_fq()
    dtype = {(0, 255): torch.uint8, (-128, 127): torch.int8}[low, high]
    shape = tuple(hook.scale_shape)
    size = (-1,) if hook.per_channel else ()
    axis = int(np.argmax(shape)) if hook.per_channel else 0
    return Quantiser(scale.detach().float().reshape(size).clone(), zero.detach().reshape(size).to(dtype), axis)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NNCF tells about its own internals on the standard output."""
    logger = logging.getLogger("nncf")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _ready_made() -> Iterator[None]:
    """NNCF rounds with torch's operations, instead of compiling its own, which takes a minute and a compiler."""
    functions = require("nncf.torch.quantization.extensions", "quantising a model").QuantizedFunctionsCPU
    executor = require("nncf.torch.quantization.reference", "quantising a model").torch_executor
    loaded = functions._loaded_namespace
    try:
        functions._loaded_namespace = SimpleNamespace(Quantize_forward=executor.forward)
        yield
    finally:
        functions._loaded_namespace = loaded
