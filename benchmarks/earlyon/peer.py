"""earlyon's wrapper around a backbone, with the heads, temperatures and thresholds of a bundle."""

import importlib
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks.torchvision_shim import install
from offramp.bundle import Bundle
from offramp.calibrate.calibrator import Calibrator
from offramp.calibrate.identity import Identity
from offramp.calibrate.temperature import Temperature
from offramp.errors import InputError
from offramp.inputs import leaves

PACKAGE = "earlyon"

INSTALL = "pip install --no-deps earlyon==0.3.0 fvcore iopath yacs portalocker tabulate termcolor tqdm pyyaml"
"""How to get it; it also needs torchvision, torch, numpy and click."""


def missing() -> str | None:
    """Says what to do where earlyon is not installed; None where it is."""
    if find_spec(PACKAGE) is not None:
        return None
    return f"expected the package {PACKAGE} beside offramp; run {INSTALL}"


def enabled_at(bundle: Bundle, point: str) -> list[int]:
    """The numbers of the exits that are on at an operating point, by depth."""
    return [exit_ for exit_, on in enumerate(bundle.point(point).configuration.enabled) if on]


def wrapped(bundle: Bundle, point: str) -> Any:
    """The wrapper of earlyon, in eval mode, with the exits that are on at `point` and no others.

    It is attached by earlyon's own `custom_ee` at the modules whose outputs offramp's heads read. Then its heads are
    replaced by copies of ours, which give raw logits, and its temperatures set to those of our calibrators, so that it
    compares the same probability with the same threshold as offramp's gate does. Its hooks stay on what it wraps, so
    that is a copy of the backbone.

    Args:
        bundle: attached to its backbone, which takes one tensor.
        point: name of an operating point.

    Raises:
        InputError: if the gate is another, no exit is on, or the bundle is not attached.
    """
    live, enabled = bundle.multi_exit, enabled_at(bundle, point)
    if live is None or bundle.manifest.gate.kind != "max-prob" or not enabled:
        raise InputError(
            f"expected an attached bundle with the gate max-prob and exits at {point!r}, got the gate "
            f"{bundle.manifest.gate.kind} and {len(enabled)} exits; call attach(model) first, or choose another point"
        )
    install()  # earlyon.models imports torchvision
    threshold = bundle.point(point).configuration.threshold
    custom_ee = importlib.import_module("earlyon.models").custom_ee
    with torch.random.fork_rng(devices=[]):  # it draws heads of its own first
        wrapper = custom_ee(
            deepcopy(live.backbone.model),
            [live.exits[exit_].point for exit_ in enabled],
            bundle.manifest.model.classes,
            input_shape=(1, *leaves(live.backbone.example)[0].shape[1:]),
            confidence_thresholds=[threshold[exit_] for exit_ in enabled],
        )
    for place, exit_ in zip(wrapper.config.exit_points, enabled, strict=True):
        wrapper.exit_heads[place.name] = deepcopy(live.head(exit_))
        wrapper.config.temperatures[place.name] = _temperature(bundle.calibrators[exit_])
    wrapper.config.validate()
    return wrapper.eval()


def _temperature(calibrator: Calibrator) -> float:
    """What earlyon can take of a calibration: a temperature."""
    if not isinstance(calibrator, Identity | Temperature):
        raise InputError(
            f"expected exits calibrated by a temperature, got {calibrator!r}; build with the default recipe"
        )
    return calibrator.temperature if isinstance(calibrator, Temperature) else 1.0
