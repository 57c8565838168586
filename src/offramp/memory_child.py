"""A process of its own that loads a model, runs it and says how much memory that took.

`python -m offramp.memory_child` reads a request as JSON from standard input and answers with JSON. It imports only what
the request needs: exported stages are run without torch.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp.deployed import RUNTIMES, UNCUT, executors
from offramp.errors import InputError, OfframpError
from offramp.run.model import EarlyExitModel
from offramp.run.resident import peak
from offramp.run.routing import Routing
from offramp.types import Configuration

Arrays = np.ndarray | tuple[np.ndarray, ...] | Mapping[str, np.ndarray]
"""A batch in NumPy."""

REFUSED = 2
"""Exit code of a process that says on the last line of its standard error why it did not do what was asked."""

Run = Callable[[Any], Any]
Load = Callable[[], Run]


@dataclass(frozen=True)
class Request:
    """What a process is to load and run.

    Attributes:
        backend: `eager`, or a runtime of exported stages.
        point: an operating point, or `uncut` for the plain model.
        folder: the bundle; for a runtime, the exported stages.
        batches: files with a batch each, as `write_batch` writes them.
        threads: how many may be used.
        model: how the model is called, as `load_model` takes it; for eager only.
        weights: the file of its weights, if any; for eager only.
        small: how the small model of the bundle is called, where it must be; for eager only.
    """

    backend: str
    point: str
    folder: str
    batches: tuple[str, ...]
    threads: int
    model: str | None = None
    weights: str | None = None
    small: str | None = None


@dataclass(frozen=True)
class Resident:
    """What a process found, in bytes.

    Attributes:
        imported: its peak resident memory when all was imported and nothing loaded.
        loaded: its peak when the model was loaded.
        peak: its peak when all batches had been run.
        allocated: what torch allocated for tensors while all batches were run once more; None without torch.
    """

    imported: int
    loaded: int
    peak: int
    allocated: int | None


def in_child(request: Request) -> Resident:
    """What a fresh process finds.

    Raises:
        InputError: if it fails, with the reason that it gave.
    """
    command = [sys.executable, "-m", "offramp.memory_child"]
    done = subprocess.run(command, input=json.dumps(asdict(request)), capture_output=True, text=True, check=False)
    if done.returncode:
        last = next(reversed(done.stderr.strip().splitlines()), "")
        reason = last if done.returncode == REFUSED else f"it ended with code {done.returncode}, last saying {last!r}"
        what = "the plain model" if request.point == UNCUT else f"the point {request.point}"
        raise InputError(f"could not measure {what} on {request.backend} in a process of its own: {reason}")
    return Resident(**json.loads(done.stdout.splitlines()[-1]))


def write_batch(path: Path, batch: Arrays) -> str:
    """Writes a batch to an `.npz` file, its names first; returns the name of the file."""
    names = list(batch) if isinstance(batch, Mapping) else []
    values = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple) else (batch,)
    np.savez(path, np.array(names, dtype=str), *values)
    return str(path)


def read_batch(path: str) -> Arrays:
    """The batch in a file: an array, a tuple of them, or a dict where they were named."""
    with np.load(path) as found:
        names, *values = (found[name] for name in found.files)
    if len(names):
        return dict(zip(names.tolist(), values, strict=True))
    return tuple(values) if len(values) > 1 else values[0]


def answer(request: Request) -> Resident:
    """Does in this process what is asked."""
    load = _exported(request) if request.backend in RUNTIMES else _eager(request)
    imported = peak()
    run = load()
    loaded = peak()
    for path in request.batches:
        run(read_batch(path))
    most = peak()
    return Resident(imported, loaded, most, _allocated(run, request))


def _exported(request: Request) -> Load:
    """Imports the runtime; what it returns loads the stages of the point alone."""
    folder = Path(request.folder)
    routing = Routing.read(folder)
    make = executors(folder, routing, request.backend, request.threads)

    def load() -> EarlyExitModel:
        places = list(dict.fromkeys(routing.exits[:-1]))
        point_of = [places.index(place) for place in routing.exits[:-1]]
        full = Configuration.full(len(point_of))
        configuration = full if request.point == UNCUT else routing.points[request.point].configuration
        return EarlyExitModel(make, {request.point: configuration}, point_of, request.point)

    return load


def _eager(request: Request) -> Load:
    """Imports torch; what it returns loads the model, and the bundle unless the model is to be run uncut."""
    import torch

    from offramp.inputs import Inputs, call
    from offramp.load.models import load_model

    torch.set_num_threads(request.threads)
    early = request.point != UNCUT
    if early:
        from offramp.bundle import Bundle
        from offramp.load.small import small_of

    def tensors(arrays: Any) -> Inputs:
        if isinstance(arrays, dict):
            return {name: torch.from_numpy(array) for name, array in arrays.items()}
        return tuple(map(torch.from_numpy, arrays)) if isinstance(arrays, tuple) else torch.from_numpy(arrays)

    def load() -> Run:
        assert request.model is not None
        model = load_model(request.model, request.weights).model
        fast = None
        if early:
            bundle = Bundle.load(request.folder)
            fast = bundle.use(request.point, model, small_of(bundle, request.small))

        def run(arrays: Any) -> Any:
            with torch.no_grad():
                return call(model, tensors(arrays)) if fast is None else fast(tensors(arrays))

        return run

    return load


def _allocated(run: Run, request: Request) -> int | None:
    if request.backend in RUNTIMES:
        return None
    from offramp.run.allocations import allocated

    return allocated(run, map(read_batch, request.batches))


def main() -> int:
    """Answers the request on standard input."""
    said, sys.stdout = sys.stdout, sys.stderr  # a model's own code may print
    try:
        found = answer(Request(**json.loads(sys.stdin.read())))
    except OfframpError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return REFUSED
    said.write(json.dumps(asdict(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
