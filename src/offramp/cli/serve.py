"""`offramp serve`: a bundle or exported stages behind a port."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from offramp.audit_files import Store
from offramp.backends import NAMES
from offramp.cli.options import OptionalModel, Small, Weights
from offramp.cli.serve_ray import on_ray
from offramp.cli.served import control, loader, told_at
from offramp.errors import InputError
from offramp.load.optional import require


def serve(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of `offramp build` or `offramp export`.")],
    model: OptionalModel = None,
    weights: Weights = None,
    small: Small = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in URLs; default: the folder's.")] = None,
    point: Annotated[str | None, typer.Option(help="Operating point to begin with. [default: balanced]")] = None,
    backend: Annotated[str, typer.Option(help=f"What it runs on: {', '.join(NAMES)}.")] = "onnx",
    threads: Annotated[int, typer.Option(min=0, help="Threads of exported stages; 0 for all cores.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8000,
    max_batch_size: Annotated[int, typer.Option(min=1, help="Samples of a batch.")] = 32,
    max_queue_delay_ms: Annotated[float, typer.Option(min=0.0, help="What a sample waits for others.")] = 0.0,
    max_queue: Annotated[int, typer.Option(min=1, help="Samples that may wait; more are answered with 503.")] = 1024,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="Largest request.")] = 64.0,
    audit_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of early answers that are compared with the whole model's.")
    ] = 0.02,
    fallback: Annotated[bool, typer.Option(help="Switch to the whole model when a promise is found broken.")] = False,
    hold: Annotated[
        str | None,
        typer.Option(
            metavar="MEASURE=VALUE",
            help="Switch to hold p95=SECONDS, queue=SAMPLES or cost=SHARE, along the operating points.",
        ),
    ] = None,
    floor: Annotated[
        float | None, typer.Option(metavar="RISK", help="With --hold: only points certified for this risk or less.")
    ] = None,
    cap: Annotated[
        float | None,
        typer.Option(
            metavar="COST",
            help="While samples go on for far longer than they did, let none cost more than this share of the model.",
        ),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep audited inputs there, for `offramp refit`.")
    ] = None,
    keep_samples: Annotated[int, typer.Option(min=1, help="With --keep: so many of the newest.")] = 10_000,
    keep_mb: Annotated[float, typer.Option(min=0.001, help="With --keep: within so much space.")] = 1024.0,
    log_format: Annotated[str, typer.Option(help="How the server logs on standard error: text or json.")] = "text",
    token: Annotated[
        str | None, typer.Option(envvar="OFFRAMP_TOKEN", help="Bearer token that all but health needs.")
    ] = None,
    admin_token: Annotated[
        str | None,
        typer.Option(envvar="OFFRAMP_ADMIN_TOKEN", help="Bearer token for switching, else it is off."),
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="On a Ray cluster, each stage in replicas of its own; BUNDLE is an export.")
    ] = False,
    replicas: Annotated[
        str, typer.Option(metavar="N,N,…", help="With --ray: replicas of each stage. [default: one each]")
    ] = "",
) -> None:
    """Serve a model that leaves early, by the Open Inference Protocol (V2), WebSocket and server-sent events.

    Clients for Triton and KServe work as they are. Each sample of a WebSocket is answered as soon as it is resolved.
    BUNDLE may also be a folder of folders with numbers for names: the highest is served, and POST
    /v2/repository/models/NAME/load takes a higher one while the server answers, POST .../rollback goes back.
    SIGTERM answers what was accepted and ends.

    Examples:
      offramp serve bundle timm:resnet50
      offramp serve stages --port 9000 --max-batch-size 64
      offramp serve bundle timm:resnet50 --hold p95=0.05 --floor 0.02
      offramp serve bundle timm:resnet50 --keep kept --audit-share 0.05
      OFFRAMP_ADMIN_TOKEN=secret offramp serve versions nets.py:resnet56 --weights r.th --fallback
      offramp serve stages --ray --replicas 4,2,1
    """
    if ray:
        return on_ray(locals(), told_at)  # nothing but the options is there yet
    if replicas:
        raise InputError("expected --ray beside --replicas; one process has one of each stage")
    for package in ("prometheus_client", "starlette", "uvicorn", "websockets"):
        require(package, "serving")
    from offramp.serve.batcher import Batching
    from offramp.serve.care import Care
    from offramp.serve.limits import Limits
    from offramp.serve.logs import configure
    from offramp.serve.monitor import Audits
    from offramp.serve.server import run

    configure(log_format)
    batching = Batching(max_batch_size, max_queue_delay_ms / 1000.0, max_queue)
    limits = Limits(int(max_body_mb * 2**20), token, admin_token)
    care = Care(
        Audits(audit_share),
        fallback,
        None if hold is None else control(hold, floor),
        cap=cap,
        store=None if keep is None else Store(keep, keep_samples, int(keep_mb * 2**20)),
    )
    with tempfile.TemporaryDirectory(prefix="offramp-serve-") as stages:
        newest = loader(bundle, model, weights, small, name, point, backend, threads, Path(stages))
        deployment = newest()
        typer.echo(f"{deployment.name} on {backend}, operating points {', '.join(deployment.points)}", err=True)

        run(
            deployment,
            batching,
            limits,
            care,
            newest=newest,
            host=host,
            port=port,
            started=partial(told_at, deployment.name),
        )
    return None
