"""MiniLM-L6 as `python -m benchmarks.texts` tuned it, as a factory that makes torchvision importable first.

Processes in which memory is measured load the model by its name alone, and transformers imports torchvision.
"""

from torch import nn

from benchmarks.torchvision_shim import install
from offramp.load.models import load_model


def sst2() -> nn.Module:
    """The classifier of SST-2, with its tokenizer as `preprocess`."""
    install()
    loaded = load_model("transformers:build/texts/sst2/tuned")
    loaded.model.preprocess = loaded.preprocess  # type: ignore[assignment]
    return loaded.model
