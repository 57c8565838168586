"""Models of transformers: text and image classifiers, from a folder or the hub."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from offramp.errors import InputError
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.optional import require
from offramp.load.processors import image_preprocess_of
from offramp.load.tokens import TokenPreprocess
from offramp.load.weights import load_weights

_CLASSES = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForImageClassification": "AutoModelForImageClassification",
}
_MAX_LENGTH = 128


def transformers_model(name: str, weights: Path | None) -> tuple[nn.Module, ImagePreprocess | TokenPreprocess | None]:
    """The classifier in the folder or under the hub name `name`, and its tokenizer or image preprocessing.

    A folder is never left for the network. With `weights` only the configuration is taken from `name`.
    """
    transformers = require("transformers", f"the model transformers:{name}")
    local = Path(name).expanduser().is_dir()
    source = str(Path(name).expanduser()) if local else name
    config = _from_pretrained(transformers.AutoConfig, source, local)
    kind = _kind(config, name)
    factory = getattr(transformers, _CLASSES[kind])
    if weights is None:
        model, report = _from_pretrained(factory, source, local, dtype=torch.float32, output_loading_info=True)
        _complete(report, name)
    else:
        model = factory.from_config(config, dtype=torch.float32)
        load_weights(model, weights)
    if kind == "ForImageClassification":
        return model, _images(transformers, source, local)
    return model, _tokens(source, local, config)


def _from_pretrained(factory: Any, source: str, local: bool, **options: Any) -> Any:
    try:
        return factory.from_pretrained(source, local_files_only=local, **options)
    except Exception as error:  # transformers raises OSError, ValueError, SafetensorError, hub and network errors alike
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        where = (
            "a folder saved by save_pretrained" if local else "a local folder or a hub name, reachable or in the cache"
        )
        raise InputError(f"expected {where}, could not load {source!r}: {reason}") from error


def _kind(config: Any, name: str) -> str:
    architectures = list(config.architectures or [])
    for suffix in _CLASSES:
        if any(architecture.endswith(suffix) for architecture in architectures):
            return suffix
    raise InputError(
        f"expected {name!r} to be a model {' or '.join(_CLASSES)}, got "
        f"{architectures or 'no architectures'}; build the classifier in FILE.py:FACTORY"
    )


def _complete(report: dict[str, Any], name: str) -> None:
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"expected trained weights for all of {name!r}, {len(missing)} are missing, such as "
            f"{missing[0]}; fine-tune the model first, or give --weights"
        )


def _images(transformers: Any, source: str, local: bool) -> ImagePreprocess | None:
    if local and not (Path(source) / "preprocessor_config.json").is_file():
        return None
    # PIL, so that what is read here does not depend on whether torchvision is installed.
    return image_preprocess_of(_from_pretrained(transformers.AutoImageProcessor, source, local, backend="pil"))


def _tokens(source: str, local: bool, config: Any) -> TokenPreprocess | None:
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "spiece.model")
    if local and not any((Path(source) / name).is_file() for name in names):
        return None
    # RoBERTa counts positions from its padding index, so two of them are never used.
    positions = getattr(config, "max_position_embeddings", None) or _MAX_LENGTH + 2
    return TokenPreprocess(source, max(1, min(_MAX_LENGTH, positions - 2)))
