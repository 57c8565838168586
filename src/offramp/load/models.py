"""Models by name, folder or file; nothing is downloaded unless a hub name asks for it."""

from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from offramp.errors import InputError
from offramp.load.factories import call_factory, is_factory
from offramp.load.preprocess import Preprocess, adjusted, as_preprocess
from offramp.load.timm_models import timm_model
from offramp.load.tokens import TokenPreprocess
from offramp.load.torchvision_models import torchvision_model
from offramp.load.transformers_models import transformers_model
from offramp.load.weights import load_weights
from offramp.model.limits import positions_of

_FORMS = "timm:NAME, torchvision:NAME, transformers:NAME_OR_PATH or FILE.py:FACTORY"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A backbone ready to be cut.

    Attributes:
        model: in eval mode.
        spec: how it was asked for.
        preprocess: what its inputs go through; None if the model does not say.
        weights: the file its weights came from.

    Raises:
        InputError: if texts may come out longer than the model has positions for.
    """

    model: nn.Module
    spec: str | None
    preprocess: Preprocess | None
    weights: str | None = None

    def __post_init__(self) -> None:
        positions = positions_of(self.model) if isinstance(self.preprocess, TokenPreprocess) else None
        if isinstance(self.preprocess, TokenPreprocess) and positions is not None:
            self.preprocess.check(positions, type(self.model).__name__)


def load_model(spec: str, weights: str | PathLike[str] | None = None, *, preprocess: Any = None) -> LoadedModel:
    """The model that `spec` names, in eval mode, with its own preprocessing.

    Args:
        spec: `timm:NAME`, `torchvision:NAME`, `transformers:NAME_OR_PATH` or `FILE.py:FACTORY`. timm and
            torchvision models start untrained, with as many classes as `weights` has. A folder or hub name of
            transformers brings its own weights unless `weights` is given.
        weights: file that `load_state` reads.
        preprocess: stands in for the model's own; anything that `as_preprocess` takes, or `{"max_length": 256}` for
            longer or shorter texts.

    Raises:
        UnknownNameError: if there is no such model; names the nearest ones.
        InputError: if the model cannot be built or the weights do not fit.
    """
    file = None if weights is None else Path(weights)
    prefix, _, name = spec.partition(":")
    if is_factory(spec):
        model, own = _factory_model(spec, file)
    elif prefix == "timm" and name:
        model, own = timm_model(name, file)
    elif prefix == "torchvision" and name:
        model, own = torchvision_model(name, file)
    elif prefix == "transformers" and name:
        model, own = transformers_model(name, file)
    else:
        near = get_close_matches(prefix, ["timm", "torchvision", "transformers"], n=1)
        hint = f"; did you mean {near[0]}:{name or 'NAME'}?" if near else ""
        raise InputError(f"expected a model as {_FORMS}; got {spec!r}{hint}")
    if preprocess is not None:
        own = adjusted(own, preprocess)
    return LoadedModel(model.eval(), spec, own, None if file is None else str(file.resolve()))


def _factory_model(spec: str, weights: Path | None) -> tuple[nn.Module, Preprocess | None]:
    model = call_factory(spec)
    if not isinstance(model, nn.Module):
        raise InputError(f"expected {spec!r} to return a torch.nn.Module, got {type(model).__name__}; return the model")
    if weights is not None:
        load_weights(model, weights)
    own = getattr(model, "preprocess", None)
    return model, None if own is None else as_preprocess(own, spec)
