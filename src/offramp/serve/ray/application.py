"""The application: one deployment per stage, each scaled by itself, and the ingress before them."""

from typing import Any

from offramp.load.optional import require
from offramp.serve.batcher import Batching
from offramp.serve.limits import Limits
from offramp.serve.loading import from_stages
from offramp.serve.ray.arguments import Arguments, Gathering, Standing
from offramp.serve.widest import needs_whole, widest
from offramp.spread import counts

INGRESS, WHOLE = "Ingress", "Uncut"
"""Names of deployments that are no stages."""

AHEAD = 4
"""Batches' worth of groups that a replica takes at once, so that the next batch gathers while one runs."""


def app(arguments: Arguments) -> Any:
    """The application for what was asked, as `serve run offramp.serve.ray:app` and config files take it.

    Its deployments are `Ingress`, `Stage0`, `Stage1`, … and, where an operating point never leaves early, `Uncut`.
    A config file may set their options as those of any other. Operating point and batches are user configs: where
    only these and numbers of replicas change in it, Ray restarts nothing.

    Raises:
        BundleError: if the folder is not one that was exported.
        UnknownNameError: if there is no such operating point or runtime.
        InputError: if Ray Serve is missing, or the numbers of replicas are not those of the stages.
    """
    require("ray.serve", "serving on many machines")
    from ray import serve

    from offramp.serve.ray.replicas import SWITCHED, Ingress, Speaking, Stage, served

    folder = widest(arguments.folder, arguments.runtime, arguments.threads)
    deployment = from_stages(folder.path, arguments.runtime, arguments.point, arguments.threads)
    point, _ = deployment.point(deployment.active)
    gathering = Gathering(max_batch_size=arguments.max_batch_size, max_delay_ms=arguments.max_delay_ms)

    def stage(name: str, place: int | None, replicas: int) -> Any:
        made = serve.deployment(Stage).options(
            name=name,
            num_replicas=replicas,
            max_ongoing_requests=AHEAD * arguments.max_batch_size,
            user_config=gathering.model_dump(),
            ray_actor_options={"num_cpus": arguments.cpus},
        )
        return made.bind(folder, place)

    stages = [
        stage(f"Stage{place}", place, replicas)
        for place, replicas in enumerate(counts(len(folder.stages), arguments.replicas))
    ]
    whole = stage(WHOLE, None, arguments.whole_replicas) if needs_whole(folder) else None
    limits = Limits(int(arguments.max_body_mb * 2**20), arguments.token, instead=SWITCHED)
    batching = Batching(arguments.max_batch_size, arguments.max_delay_ms / 1000.0, arguments.max_queue)
    speaking = Speaking(arguments.name, batching, limits, arguments.audit_share)
    ingress = serve.deployment(serve.ingress(served)(Ingress)).options(
        name=INGRESS,
        num_replicas=arguments.ingress_replicas,
        max_ongoing_requests=arguments.max_queue,
        user_config=Standing(operating_point=point, generation=arguments.generation).model_dump(),
        ray_actor_options={"num_cpus": arguments.cpus},
    )
    return ingress.bind(folder, speaking, stages, whole)
