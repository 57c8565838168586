"""Detectors of torchvision with random weights, small enough for tests on a CPU.

Untrained networks say nothing of their input: their batch norms have seen none, so that features vanish or explode on
the way, and their scores are all alike. So the norms, and the layers that score, are fitted to random pictures.
"""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.torchvision_shim import install_detection

SPREAD = 3.0
"""Standard deviation of the scores before the softmax."""

FOUND = 10
"""Detections in a picture, at most."""


def maskrcnn(side: int = 160, seed: int = 0) -> nn.Module:
    """Mask R-CNN (He et al. 2017) on a ResNet-50 with a feature pyramid, for pictures of `side` pixels."""
    few = {"rpn_post_nms_top_n_test": 30, "box_detections_per_img": FOUND, "min_size": side, "max_size": side}
    return _made("maskrcnn_resnet50_fpn", side, seed, **few)


def fasterrcnn(side: int = 320, seed: int = 0) -> nn.Module:
    """Faster R-CNN (Ren et al. 2015) on a MobileNetV3 with a feature pyramid, for pictures of `side` pixels."""
    few = {"rpn_post_nms_top_n_test": 30, "box_detections_per_img": FOUND, "min_size": side, "max_size": side}
    return _made("fasterrcnn_mobilenet_v3_large_320_fpn", side, seed, **few)


def ssdlite(seed: int = 0) -> nn.Module:
    """SSDlite (Sandler et al. 2018) on a MobileNetV3, for pictures of 320 pixels."""
    return _made("ssdlite320_mobilenet_v3_large", 320, seed, detections_per_img=FOUND, topk_candidates=30)


MADE: dict[str, Callable[[], nn.Module]] = {
    "maskrcnn": maskrcnn,
    "fasterrcnn": fasterrcnn,
    "ssdlite": ssdlite,
}
"""The detectors by a short name."""


def _made(name: str, side: int, seed: int, **options: Any) -> nn.Module:
    """The network of this name, in eval mode, its weights decided by the seed alone."""
    install_detection()
    make = getattr(importlib.import_module("torchvision.models.detection"), name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = make(weights=None, weights_backbone=None, **options)
        coarse = torch.rand(4, 3, side // 16, side // 16)
    _settle(model.eval(), F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1))
    return model


def _settle(model: nn.Module, pictures: torch.Tensor) -> None:
    """Gives norms and scores the statistics of what they get to see of these pictures."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momentum = [norm.momentum for norm in norms]
    hooks = [layer.register_forward_hook(_standardise) for layer in _scoring(model)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        model(list(pictures))
    for norm, before in zip(norms, momentum, strict=True):
        norm.eval()
        norm.momentum = before
    for hook in hooks:
        hook.remove()


def _scoring(model: Any) -> list[nn.Module]:
    """The layers that say how likely a class, or anything, is at some place."""
    if hasattr(model, "rpn"):
        return [model.rpn.head.cls_logits, model.roi_heads.box_predictor.cls_score]
    return [block[-1] for block in model.head.classification_head.module_list]


def _standardise(layer: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """As a hook: changes the layer such that each channel of this output has mean 0 and the deviation `SPREAD`."""
    channels = output.transpose(0, 1).flatten(1)
    deviation, mean = torch.std_mean(channels, 1)
    factor = SPREAD / deviation
    layer.weight.mul_(factor.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    layer.bias.sub_(mean).mul_(factor)
    shape = (1, -1, *[1] * (output.ndim - 2))
    return (output - mean.reshape(shape)) * factor.reshape(shape)
