"""Which stages of an exported folder all its operating points are served from."""

from pathlib import Path

from offramp.deployed import UNCUT
from offramp.errors import InputError
from offramp.run.routing import Routing
from offramp.serve.deployment import any_of
from offramp.spread import Folder, digest_of


def cut_of(routing: Routing, path: Path) -> str:
    """Name of the cut that has the exits of all operating points.

    Raises:
        InputError: if there is none.
    """
    entries = routing.points.values()
    wanted = any_of([entry.enabled for entry in entries])
    for entry in entries:
        if entry.enabled == wanted:
            return entry.cut
    raise InputError(
        f"expected one operating point in {path} that has the exits of all others, got points with exits of "
        "their own; export fewer points, or serve the bundle"
    )


def widest(path: Path, runtime: str, threads: int) -> Folder:
    """A folder, cut where any of its operating points has exits.

    Raises:
        BundleError: if the folder is not one that was exported.
        InputError: if no stages have the exits of all points.
    """
    return Folder(path.resolve(), digest_of(path), cut_of(Routing.read(path), path), runtime, threads)


def needs_whole(folder: Folder) -> bool:
    """Whether an operating point that never leaves early is to be served beside others."""
    return folder.cut != UNCUT and not all(any(entry.enabled) for entry in folder.routing.points.values())
