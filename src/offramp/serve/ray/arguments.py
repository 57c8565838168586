"""What an application on Ray Serve is told, by `serve run`, a config file or the command line."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _numbers(told: Any) -> Any:
    """The numbers in `4,2,1`, as a command line has them."""
    return [part for part in told.split(",") if part.strip()] if isinstance(told, str) else told


Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_numbers)]


class Arguments(BaseModel):
    """Of the builder.

    Attributes:
        folder: that `offramp export` wrote; every node must have it under the same path.
        name: of the model in URLs; default the folder's.
        point: operating point that requests without a wish get; it is switched without restarting anything.
        generation: what replies say beside it; to be counted up by whoever switches.
        runtime: `onnx`, `openvino` or `openvino-bf16`.
        threads: of a stage.
        cpus: cores that Ray reserves for each replica.
        replicas: of each stage, from the first to the last; default one each.
        whole_replicas: of the uncut model, which answers those who never leave early.
        ingress_replicas: of what speaks with clients.
        max_batch_size: samples that a stage runs at once.
        max_delay_ms: what a stage waits for others, milliseconds.
        max_queue: samples under way in one ingress; more are answered with 503.
        max_body_mb: largest request.
        audit_share: of early answers that are compared with the whole model's.
        token: bearer token that requests need. Whoever sees the cluster sees it, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    name: str | None = None
    point: str | None = None
    generation: Annotated[int, Field(ge=0)] = 0
    runtime: str = "onnx"
    threads: Annotated[int, Field(ge=1)] = 1
    cpus: Annotated[float, Field(ge=0.0)] = 1.0
    replicas: Counts = ()
    whole_replicas: Annotated[int, Field(ge=1)] = 1
    ingress_replicas: Annotated[int, Field(ge=1)] = 1
    max_batch_size: Annotated[int, Field(ge=1)] = 32
    max_delay_ms: Annotated[float, Field(ge=0.0)] = 2.0
    max_queue: Annotated[int, Field(ge=1)] = 4096
    max_body_mb: Annotated[float, Field(gt=0.0)] = 64.0
    audit_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02
    token: str | None = None


class Standing(BaseModel):
    """User config of the ingress: what all its replicas switch to at once.

    Attributes:
        operating_point: by name.
        generation: what replies say beside it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    operating_point: str
    generation: Annotated[int, Field(ge=0)] = 0


class Gathering(BaseModel):
    """User config of a stage: how it makes batches.

    Attributes:
        max_batch_size: samples that it runs at once.
        max_delay_ms: what it waits for others, milliseconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_batch_size: Annotated[int, Field(ge=1)] = 32
    max_delay_ms: Annotated[float, Field(ge=0.0)] = 2.0
