"""The models of the zoo by name, each with inputs for it; random weights, nothing is downloaded."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.torchvision_shim import install
from benchmarks.zoo import networks
from benchmarks.zoo.fastest_det import FastestDet
from offramp.inputs import Inputs, call

Draw = Callable[[int], Inputs]
"""Draws a batch of the given size."""

SMALL: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 4}
"""Sizes that keep an architecture and not its weight."""

OTHER_SIZES: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 64, "hidden_dim": 128, "n_heads": 4, "n_layers": 4},
    "albert": {**SMALL, "embedding_size": 32},
    "deberta": {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16},
    "electra": {**SMALL, "embedding_size": 32},
    "mobilebert": {"num_hidden_layers": 4},
    "squeezebert": {**SMALL, "embedding_size": 64},
    "funnel": {"block_sizes": [2, 2], "d_model": 64, "n_head": 4, "d_head": 16, "d_inner": 128},
    "gpt2": {"n_embd": 64, "n_head": 4, "n_layer": 4, "pad_token_id": 0},
    "llama": {**SMALL, "num_key_value_heads": 2, "pad_token_id": 0},
    "opt": {**SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64, "pad_token_id": 1},
    "xlnet": {"d_model": 64, "n_head": 4, "n_layer": 4, "d_inner": 128},
    "swin": {"embed_dim": 32, "depths": [2, 2, 2], "num_heads": [2, 4, 8]},
    "swinv2": {"embed_dim": 32, "depths": [2, 2, 2], "num_heads": [2, 4, 8]},
    "convnext": {"hidden_sizes": [16, 32, 64, 128], "depths": [2, 2, 2, 2]},
    "convnextv2": {"hidden_sizes": [16, 32, 64, 128], "depths": [2, 2, 2, 2]},
    "dinov2": {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4},
    "resnet": {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [2, 2, 2, 2]},
    "regnet": {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [2, 2, 2, 2]},
    "poolformer": {"hidden_sizes": [16, 32, 64, 128]},
    "segformer": {"hidden_sizes": [16, 32, 64, 128]},
    "mobilevit": {},
    "levit": {},
    "cvt": {"embed_dim": [16, 32, 64], "num_heads": [1, 2, 4], "depth": [1, 2, 4]},
}
"""By model type, where the fields of `SMALL` have other names."""

TINY = 1e-3
"""Parameters below this switch off what they scale."""

RESOLUTION = {"dinov2": 112}
"""Picture sizes other than 224."""


def model(name: str) -> tuple[nn.Module, Draw]:
    """The model `library:name`, awake and in eval mode, and what draws its inputs."""
    library, _, rest = name.partition(":")
    makers = {"timm": _timm, "torchvision": _torchvision, "transformers": _transformers, "own": _own}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made, draw = makers[library](rest)
        _awaken(made, draw(4))
        with torch.no_grad():
            call(
                made.eval(), draw(4)
            )  # what a model makes in its first forward, such as a table of positions, is there
        return made, draw


def _awaken(model: nn.Module, inputs: Inputs) -> None:
    """Sees to it that the model tells its inputs apart.

    Untrained, many answer every input alike, and a mistake would not show: last layers, gates and scales start at zero
    or near it, and without statistics of the batch norms deep activations vanish.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.abs().max() < TINY:
                nn.init.normal_(parameter, std=0.02)
        model.eval()
        for norm in norms:
            norm.train().momentum = 1.0
        call(model, inputs)


def _pictures(batch: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))


def _timm(name: str) -> tuple[nn.Module, Draw]:
    install()
    made = importlib.import_module("timm").create_model(name, pretrained=False)
    return made, partial(_pictures, shape=tuple(made.pretrained_cfg.get("input_size", (3, 224, 224))))


def _torchvision(name: str) -> tuple[nn.Module, Draw]:
    install()
    models = importlib.import_module("torchvision.models")
    extra: dict[str, Any] = {}
    size: tuple[int, ...] = (3, 224, 224)
    if name in {"googlenet", "inception_v3"}:
        extra, size = {"init_weights": False, "aux_logits": True}, (3, 299, 299) if name == "inception_v3" else size
    if name in models.list_models(module=models.video):
        size = (3, 16, 224, 224) if name in {"mvit_v1_b", "s3d"} else (3, 16, 64, 64)
    if name in models.list_models(module=models.segmentation):
        extra, size = {"weights_backbone": None}, (3, 128, 128)
    return models.get_model(name, weights=None, **extra), partial(_pictures, shape=size)


def _transformers(name: str) -> tuple[nn.Module, Draw]:
    """`text/TYPE` or `image/TYPE`: a classifier of that model type."""
    install()
    library = importlib.import_module("transformers")
    kind, _, model_type = name.partition("/")
    config = library.AutoConfig.for_model(model_type, **OTHER_SIZES.get(model_type, SMALL))
    # where a type has two classifiers the library looks for its choice here, and does not take None
    config.architectures = config.architectures or []
    if kind == "text":
        return library.AutoModelForSequenceClassification.from_config(config), partial(_texts, words=1000)
    size = RESOLUTION.get(model_type, getattr(config, "image_size", 224))
    made = library.AutoModelForImageClassification.from_config(config)
    return made, partial(_named_pictures, shape=(3, size, size))


def _texts(batch: int, words: int, length: int = 16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, length + 1, (batch, 1), generator=generator)
    return {
        "input_ids": torch.randint(5, words, (batch, length), generator=generator),
        "attention_mask": (torch.arange(length) < lengths).long(),
    }


def _named_pictures(batch: int, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {"pixel_values": _pictures(batch, shape)}


def _own(name: str) -> tuple[nn.Module, Draw]:
    make, draw = OWN[name]
    return make(), draw


def _clicks(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 13, generator=generator), torch.randint(0, 100, (batch, 26), generator=generator)


def _fields(batch: int) -> torch.Tensor:
    return torch.randint(0, 100, (batch, 10), generator=torch.Generator().manual_seed(1))


def _padded(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = _texts(batch, 100)
    return drawn["input_ids"], drawn["attention_mask"] == 0


def _views(batch: int) -> dict[str, torch.Tensor]:
    return {"image": _pictures(batch, (3, 16, 16)), "meta": _pictures(batch, (4,))}


OWN: dict[str, tuple[Callable[[], nn.Module], Draw]] = {
    "dlrm": (networks.DLRM, _clicks),
    "dcn": (networks.DCN, _fields),
    "unet": (networks.UNet, partial(_pictures, shape=(3, 64, 64))),
    "fastestdet": (FastestDet, partial(_pictures, shape=(3, 352, 352))),
    "transformer-encoder": (networks.TextClassifier, _padded),
    "two-views": (networks.TwoViews, _views),
}
