"""The whole data set through the stages, with Ray Data: one pool of actors a stage, survivors in full batches again."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp.errors import DataError, InputError
from offramp.load.optional import require
from offramp.offline.answers import Answers
from offramp.offline.reading import Reading
from offramp.offline.scoring import INDEX, Keeper, Scored, Scoring
from offramp.progress import Progress
from offramp.sources import Source
from offramp.spread import counts

LOOK = 0.5
"""Seconds between two looks at how far it is."""

AHEAD = 8
"""Batches in a block of samples that a reader gets."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be answered.

    Attributes:
        opened: opens the source, wherever it is called.
        samples: in it.
        classes: logits of each answer.
        about: what the answers depend on, as JSON; see `answers.Answers`.
    """

    opened: Callable[[], Source]
    samples: int
    classes: int
    about: Mapping[str, Any]


def score(
    asked: Asked,
    scored: Scored,
    folder: Path,
    batch_size: int = 32,
    replicas: tuple[int, ...] = (),
    progress: Progress = lambda stage, done, total: None,
) -> Answers:
    """The answers to all samples; those that an earlier, killed run left in the folder are not made again.

    Runs on the cluster that `RAY_ADDRESS` names or that runs on this machine, else on one of its own. Workers that
    die are replaced and what they had is done again.

    Args:
        asked: what is to be answered.
        scored: by which stages.
        folder: where the answers are kept, on this machine.
        batch_size: samples that a stage runs at once.
        replicas: actors of each stage; as many as of the first read samples. Default one each.
        progress: is told how many are answered.

    Raises:
        InputError: if Ray Data is missing, or the numbers of replicas are not those of the stages.
        DataError: if the data cannot be used.
    """
    ray = require("ray", "scoring on many machines")
    require("ray.data", "scoring on many machines")
    actors = counts(len(scored.folder.stages), replicas)
    kept = Answers(folder, asked.about, asked.samples, asked.classes)
    kept.close()
    left = np.flatnonzero(~kept.known)
    if len(left):
        joined = ray.is_initialized()
        if not joined:
            ray.init(**_cluster(ray))
        try:
            with _quiet():
                _run(ray, asked, scored, folder, left, batch_size, actors, progress)
        finally:
            if not joined:
                ray.shutdown()
    progress("running", asked.samples, asked.samples)
    found = Answers(folder, asked.about, asked.samples, asked.classes)
    found.close()
    return found


def _cluster(ray: Any) -> dict[str, Any]:
    """How to join a cluster, or to begin one."""
    quiet = {"log_to_driver": False, "logging_level": "warning"}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        return {"include_dashboard": False, **quiet}
    ray.shutdown()
    return {"address": "auto", **quiet}


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Data tells how it works; what it raises is told by whoever called."""
    log = logging.getLogger("ray.data")
    level = log.level
    try:
        log.setLevel(logging.CRITICAL)
        yield
    finally:
        log.setLevel(level)


def _run(
    ray: Any,
    asked: Asked,
    scored: Scored,
    folder: Path,
    left: np.ndarray,
    batch_size: int,
    actors: Sequence[int],
    progress: Progress,
) -> None:
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    keeper = (
        ray.remote(Keeper)
        .options(num_cpus=0, scheduling_strategy=here)
        .remote(folder.resolve(), asked.about, asked.samples, asked.classes)
    )
    dataset = _dataset(ray, asked, scored, left, batch_size, actors, keeper)
    failed: list[Exception] = []

    def consume() -> None:
        try:
            for _ in dataset.iter_batches(batch_size=None):
                pass
        except Exception as error:  # told in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=consume, name="offramp-dataset", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LOOK)
        progress("running", min(ray.get(keeper.count.remote()), asked.samples - 1), asked.samples)
    if failed:
        refused = ray.get(keeper.refused.remote())
        if refused is None:
            raise failed[0]
        raise DataError(refused) from failed[0]
    done = ray.get(keeper.count.remote())
    if done != asked.samples:
        raise InputError(f"expected {asked.samples} answers, got {done}; run the same again, which goes on from there")


def _dataset(
    ray: Any, asked: Asked, scored: Scored, left: np.ndarray, batch_size: int, actors: Sequence[int], keeper: Any
) -> Any:
    """The pipeline, not yet running."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    share = float(ray.cluster_resources().get("CPU", 1.0)) / (actors[0] + sum(actors))
    cpus = {"num_cpus": 1.0 if share >= 1.0 else int(100 * share) / 100.0}  # fewer cores than actors: they share them

    def pool(dataset: Any, made: type, size: int, *arguments: Any) -> Any:
        strategy = ray.data.ActorPoolStrategy(size=size)
        return dataset.map_batches(
            made,
            fn_constructor_args=arguments,
            batch_size=batch_size,
            batch_format="numpy",
            compute=strategy,
            zero_copy_batch=True,
            **cpus,
        )

    blocks = [{INDEX: part} for part in np.array_split(left, max(1, len(left) // (AHEAD * batch_size)))]
    dataset = ray.data.from_blocks([_table(block) for block in blocks])
    masked = len(scored.folder.names) > len(scored.folder.uncut.inputs)
    dataset = pool(dataset, Reading, actors[0], asked.opened, masked, keeper)
    for place, size in enumerate(actors):
        dataset = pool(dataset, Scoring, size, scored, place, keeper)
    return dataset


def _table(block: Mapping[str, np.ndarray]) -> Any:
    return require("pyarrow", "scoring on many machines").table(dict(block))
