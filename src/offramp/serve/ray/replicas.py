"""What runs in a replica: a stage, or the ingress that speaks with clients and sends samples through the stages.

Ray is imported where a replica begins, so that this can be read, and checked, where it is not installed.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette

from offramp.decide.rule import rule
from offramp.run.group import Failed, Group, Told
from offramp.serve.app import application
from offramp.serve.batcher import Batching
from offramp.serve.endpoint import Endpoint
from offramp.serve.errors import BusyError
from offramp.serve.forwarding import Forwarding, LostError, Route, Step, Track
from offramp.serve.hosting import Version
from offramp.serve.limits import Limits
from offramp.serve.loading import from_stages
from offramp.serve.monitor import Audits
from offramp.serve.ray.arguments import Gathering, Standing
from offramp.serve.watch import Watch
from offramp.spread import Folder

LOG = logging.getLogger("offramp.serve")

SWITCHED = "change operating_point in the user_config of the deployment Ingress"


class Stage:
    """A stage: puts groups of many requests into one batch, runs it, and says to each group what it is told."""

    def __init__(self, folder: Folder, place: int | None) -> None:
        """Loads the stage; `place` is its number, None that of the uncut model."""
        from ray import serve

        self._apart = folder.ready(place)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="offramp-stage")  # memory is used again by thread
        self._seen = self._batches = 0

        async def run(groups: list[Group]) -> Sequence[Told | Failed]:
            self._seen += _samples(groups)
            self._batches += 1
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._apart.answers, groups)

        self._together = serve.batch(batch_size_fn=_weight)(run)

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Other batches, from the next one on."""
        gathering = Gathering.model_validate(user_config)
        self._together.set_max_batch_size(gathering.max_batch_size)
        self._together.set_batch_wait_timeout_s(gathering.max_delay_ms / 1000.0)

    async def __call__(self, group: Group) -> Told | Failed:
        """What a group is told; times in it are seconds from now."""
        found: Told | Failed = await self._together(group.shifted(time.monotonic()))
        if isinstance(found, Failed) or found.group is None:
            return found
        return replace(found, group=found.group.shifted(-time.monotonic()))

    async def seen(self) -> tuple[int, int, int]:
        """The number of this process, and how many samples and how many batches it has run."""
        return os.getpid(), self._seen, self._batches


def _samples(groups: Sequence[Group]) -> int:
    return sum(group.samples for group in groups)


def _weight(groups: Sequence[Group]) -> int:
    """What counts for the size of a batch; a group alone always fits, since it cannot be divided here."""
    return 1 if len(groups) == 1 else _samples(groups)


@dataclass(frozen=True)
class Speaking:
    """What an ingress is like.

    Attributes:
        name: of the model; None: the folder's.
        batching: how many samples travel together and may be under way.
        limits: of requests.
        audit_share: of early answers that are compared.
    """

    name: str | None
    batching: Batching
    limits: Limits
    audit_share: float


class Ingress:
    """The server of `offramp.serve.app`, whose samples are run by stages elsewhere."""

    def __init__(self, folder: Folder, speaking: Speaking, stages: Sequence[Any], whole: Any | None) -> None:
        """Reads the routing; loads no stage.

        Args:
            folder: of the stages.
            speaking: with clients.
            stages: handles of the stages, from the first to the last.
            whole: handle of the uncut model; None where no operating point needs it.
        """
        deployment = from_stages(folder.path, folder.runtime, threads=folder.threads)
        deployment = replace(deployment, name=speaking.name or deployment.name)
        watch = Watch(deployment, Audits(speaking.audit_share), _alarmed)
        early = Track(folder.names, tuple(_step(handle) for handle in stages))
        uncut = None if whole is None else Track(folder.uncut.inputs, (_step(whole),))
        route = Route(early, uncut, rule(deployment.rule))
        engine = Forwarding(route, watch, speaking.batching)
        self.endpoint = Endpoint(deployment, watch, None, speaking.audit_share, engine=engine)
        self.application, _ = application(Version(self.endpoint, watch), speaking.limits)

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Another operating point for requests without a wish; those under way keep theirs."""
        standing = Standing.model_validate(user_config)
        active = self.endpoint.switch(standing.operating_point, standing.generation)
        LOG.info("now at %s, generation %d", active.name, active.generation)


def _alarmed(point: str) -> None:
    LOG.warning("more disagreement at %s than was certified", point)


def _step(handle: Any) -> Step:
    """A stage that any replica of a deployment runs."""
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import BackPressureError

    async def step(group: Group) -> Told | Failed:
        try:
            found: Told | Failed = await handle.remote(group.shifted(-time.monotonic()))
        except RayActorError as error:
            raise LostError(str(error).strip().partition("\n")[0][:200]) from error
        except BackPressureError as error:
            raise BusyError("a stage has as much to do as it may; try again later") from error
        if isinstance(found, Failed) or found.group is None:
            return found
        return replace(found, group=found.group.shifted(time.monotonic()))

    return step


def served() -> Any:
    """The ASGI application of the replica that this process runs."""
    from ray import serve

    starting = Starlette()  # Ray asks it whether it has anything to do at the start before there is a replica to ask

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        ready = scope["type"] != "lifespan"
        asked = serve.get_replica_context().servable_object.application if ready else starting
        await asked(scope, receive, send)

    return answer
