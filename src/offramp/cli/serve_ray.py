"""`offramp serve --ray`: exported stages behind a port of a cluster."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from offramp.errors import InputError
from offramp.load.optional import require
from offramp.run.routing import FILE

SAME = ("name", "point", "replicas", "max_batch_size", "max_queue", "max_body_mb", "audit_share", "token")
"""Options that the application takes by the same name."""

ALONE = ("hold", "fallback", "cap", "keep", "admin_token", "model", "weights", "small")
"""Options that only one process has."""


def on_ray(told: Mapping[str, Any], started: Callable[[str, str], None]) -> None:
    """Serves until a signal comes.

    Args:
        told: the options of `offramp serve` by name.
        started: called with name and URL once all stages answer.

    Raises:
        InputError: if an option does not go with it, or Ray is missing.
    """
    for package in ("ray", "ray.serve", "prometheus_client"):
        require(package, "serving on many machines")
    from offramp.serve.ray.arguments import Arguments
    from offramp.serve.ray.running import run

    folder = told["bundle"]
    for name in ALONE:
        if told[name]:
            flag = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise InputError(f"expected no {flag} with --ray, where exported stages are served as a config says")
    if not (folder / FILE).exists():
        raise InputError(f"expected a folder that offramp export wrote with --ray, got {folder}; run offramp export")
    try:
        arguments = Arguments(
            folder=folder,
            runtime=told["backend"],
            threads=told["threads"] or 1,
            max_delay_ms=told["max_queue_delay_ms"],
            **{name: told[name] for name in SAME},
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"expected --{first['loc'][0]} as Ray Serve takes it: {first['msg']}") from error
    run(
        arguments,
        host=told["host"],
        port=told["port"],
        started=partial(started, arguments.name or folder.resolve().name),
    )
