"""What the protocol's metadata, configuration and statistics say about a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from offramp.serve.endpoint import Endpoint
from offramp.serve.sample import Answer
from offramp.serve.tensors import datatype_of
from offramp.serve.watch import Counted
from offramp.tasks.task import Task

LOGITS = "logits"
"""What a model gives, whatever its task makes of it."""

OF_EXITS = ("exit_index", "confidence")
"""Outputs that say something about exits."""


def outputs(task: Task, classes: int = 2) -> dict[str, tuple[str, list[int]]]:
    """The outputs of a model by name, with datatype and shape.

    >>> from offramp.tasks.classification import Classification
    >>> list(outputs(Classification()))
    ['logits', 'label', 'exit_index', 'confidence']
    """
    told = task.told(np.zeros((1, classes), np.float32))
    return {
        LOGITS: ("FP32", [-1, classes]),
        **{name: (datatype_of(value.dtype), [-1, *value.shape[1:]]) for name, value in told.items()},
        "exit_index": ("INT64", [-1]),
        "confidence": ("FP32", [-1]),
    }


def metadata(endpoint: Endpoint) -> dict[str, Any]:
    """The model's inputs and outputs."""
    deployment = endpoint.deployment
    given = outputs(deployment.task, deployment.classes)
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


def outputs_of(answers: Sequence[Answer], task: Task, classes: int) -> dict[str, np.ndarray]:
    """The output tensors of a request from the answers of its samples."""
    logits = np.stack([answer.logits for answer in answers]).astype(np.float32, copy=False).reshape(-1, classes)
    return {
        LOGITS: logits,
        **task.told(logits),
        "exit_index": np.array([answer.exit_index for answer in answers], np.int64),
        "confidence": np.array([answer.score for answer in answers], np.float32),
    }


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
