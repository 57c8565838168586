"""What the protocol's metadata, configuration and statistics say about a model."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from offramp.serve.deployment import Deployment, InputSpec
from offramp.serve.endpoint import Endpoint
from offramp.serve.sample import Answer
from offramp.serve.tensors import datatype_of
from offramp.serve.watch import Counted

LOGITS = "logits"
"""What a model gives, whatever its task makes of it."""

OF_EXITS = ("exit_index", "confidence")
"""Outputs that say something about exits."""


def outputs(deployment: Deployment) -> dict[str, tuple[str, list[int]]]:
    """The outputs of a model by name, with datatype and shape; last what else the model itself returns."""
    return {
        LOGITS: ("FP32", [-1, deployment.classes]),
        **{name: (datatype_of(value.dtype), [-1, *value.shape[1:]]) for name, value in deployment.told.items()},
        "exit_index": ("INT64", [-1]),
        "confidence": ("FP32", [-1]),
        **{name: (datatype_of(spec.dtype), [-1, *spec.shape]) for name, spec in full_of(deployment).items()},
    }


def full_of(deployment: Deployment) -> dict[str, InputSpec]:
    """What else the model returns, by the name under which clients ask for it: its own, unless that means another."""
    taken = {LOGITS, *OF_EXITS, *deployment.told}
    return {spec.name if spec.name not in taken else f"full_{spec.name}": spec for spec in deployment.full}


def metadata(endpoint: Endpoint) -> dict[str, Any]:
    """The model's inputs and outputs."""
    deployment = endpoint.deployment
    given = outputs(deployment)
    return {
        "name": deployment.name,
        "versions": [deployment.version],
        "platform": "offramp",
        "inputs": [
            {"name": spec.name, "datatype": datatype_of(spec.dtype), "shape": [-1, *spec.shape]}
            for spec in deployment.inputs
        ],
        "outputs": [{"name": name, "datatype": datatype, "shape": shape} for name, (datatype, shape) in given.items()],
    }


def configuration(endpoint: Endpoint) -> dict[str, Any]:
    """Triton's configuration, as far as it means anything here."""
    told = metadata(endpoint)

    def entries(kind: str) -> list[dict[str, Any]]:
        return [
            {"name": one["name"], "data_type": f"TYPE_{one['datatype']}", "dims": one["shape"][1:] or [1]}
            for one in told[kind]
        ]

    return {
        "name": told["name"],
        "platform": "offramp",
        "backend": "offramp",
        "max_batch_size": endpoint.engine.batching.max_batch_size,
        "input": entries("inputs"),
        "output": entries("outputs"),
        "dynamic_batching": {"max_queue_delay_microseconds": round(1e6 * endpoint.engine.batching.max_delay)},
    }


def index(endpoint: Endpoint) -> list[dict[str, Any]]:
    """The models there are, in Triton's words."""
    state = "READY" if endpoint.ready else "UNAVAILABLE"
    return [{"name": endpoint.deployment.name, "version": endpoint.deployment.version, "state": state, "reason": ""}]


def points(endpoint: Endpoint) -> dict[str, Any]:
    """The operating points, and which is active."""
    deployment, active = endpoint.deployment, endpoint.active
    return {
        "active": active.name,
        "generation": active.generation,
        "exits": list(deployment.exits),
        "aliases": dict(deployment.aliases),
        "points": [
            {
                "name": name,
                "cost": point.cost,
                "bound": point.bound,
                "exits": [index for index, on in enumerate(point.configuration.enabled) if on],
                "thresholds": [
                    value
                    for value, on in zip(point.configuration.threshold, point.configuration.enabled, strict=True)
                    if on
                ],
            }
            for name, point in deployment.points.items()
        ],
    }


def outputs_of(
    answers: Sequence[Answer], deployment: Deployment, asked: Container[str] | None
) -> dict[str, np.ndarray]:
    """The output tensors of a request from the answers of its samples.

    What else the model returns is there where it is asked for by name. Of samples that left early it is zeros, and so
    is what fills up those of which there is less than of others.
    """
    logits = np.stack([answer.logits for answer in answers]).astype(np.float32, copy=False)
    logits = logits.reshape(-1, deployment.classes)
    wanted = {} if asked is None else {name: one for name, one in full_of(deployment).items() if name in asked}
    return {
        LOGITS: logits,
        **deployment.task.told(logits),
        "exit_index": np.array([answer.exit_index for answer in answers], np.int64),
        "confidence": np.array([answer.score for answer in answers], np.float32),
        **{name: _filled_up([answer.full.get(spec.name) for answer in answers], spec) for name, spec in wanted.items()},
    }


def _filled_up(rows: Sequence[np.ndarray | None], spec: InputSpec) -> np.ndarray:
    sizes = [row.shape for row in rows if row is not None] or [tuple(max(size, 0) for size in spec.shape)]
    found = np.zeros((len(rows), *map(max, zip(*sizes, strict=True))), spec.dtype)
    for at, row in enumerate(rows):
        if row is not None:
            found[at : at + 1][(slice(None), *(slice(size) for size in row.shape))] = row
    return found


def statistics(endpoint: Endpoint, counted: Counted) -> dict[str, Any]:
    """Triton's statistics, as far as they are counted here: samples, not requests, and times in nanoseconds, summed."""
    answered, busy, waited = counted.samples, counted.seconds, counted.waited

    def entry(count: int, seconds: float) -> dict[str, int]:
        return {"count": count, "ns": round(1e9 * seconds)}

    one = {
        "name": endpoint.deployment.name,
        "version": endpoint.deployment.version,
        "last_inference": counted.last,
        "inference_count": answered,
        "execution_count": counted.batches,
        "inference_stats": {
            "success": entry(answered, waited + counted.computed),
            "fail": entry(counted.failed, 0.0),
            "queue": entry(answered, waited),
            "compute_input": entry(answered, 0.0),
            "compute_infer": entry(answered, counted.computed),
            "compute_output": entry(answered, 0.0),
            "cache_hit": entry(0, 0.0),
            "cache_miss": entry(0, 0.0),
        },
        "batch_stats": [],
        "busy_seconds": busy,
    }
    return {"model_stats": [one]}
