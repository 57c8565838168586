"""From names, files and Python objects to models and inputs."""

from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.combine import concatenated, subset
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import LoadedModel, load_model
from offramp.load.preprocess import CallablePreprocess, Preprocess, as_preprocess, preprocess_from_manifest
from offramp.load.quantised import quantised
from offramp.load.sources import open_source
from offramp.load.tokens import TokenPreprocess
from offramp.load.weights import load_state, load_weights, save_weights
from offramp.sources import Source

__all__ = [
    "CallablePreprocess",
    "ClickPreprocess",
    "ImagePreprocess",
    "LoadedModel",
    "Preprocess",
    "Source",
    "TokenPreprocess",
    "as_preprocess",
    "concatenated",
    "load_model",
    "load_state",
    "load_weights",
    "open_source",
    "preprocess_from_manifest",
    "quantised",
    "save_weights",
    "subset",
]
