"""`offramp serve --ray`: the application on a cluster, until a signal comes."""

import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from offramp.load.optional import require
from offramp.serve.ray.application import app
from offramp.serve.ray.arguments import Arguments


def run(
    arguments: Arguments,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    started: Callable[[str], None] = lambda _: None,
) -> None:
    """Serves on the cluster that `RAY_ADDRESS` names or that runs on this machine, else on one of its own.

    Args:
        arguments: of the application, whose name on the cluster is that of the model.
        host: address that each node listens on.
        port: to listen on; 0 for one that is free here. Where Ray Serve runs already, it keeps its own.
        started: called with the URL once all stages answer.

    Raises:
        BundleError: if the folder is not one that was exported.
        InputError: if Ray Serve is missing, or the application cannot be made.
    """
    serve = require("ray.serve", "serving on many machines")
    made = app(arguments)
    name, port = arguments.name or arguments.folder.resolve().name, port or _free(host)
    ended, own = threading.Event(), _joined()
    for number in (signal.SIGINT, signal.SIGTERM):  # not before: Ray sets handlers of its own as it starts
        signal.signal(number, lambda *_: ended.set())
    try:
        serve.start(proxy_location="EveryNode", http_options={"host": host, "port": port})
        serve.run(made, name=name, route_prefix="/")
        started(f"http://{host}:{port}")
        ended.wait()
        serve.delete(name)
    finally:
        if own:
            serve.shutdown()
            require("ray", "serving on many machines").shutdown()


def _joined() -> bool:
    """Whether the cluster had to be started."""
    ray: Any = require("ray", "serving on many machines")
    try:
        ray.init(address="auto", log_to_driver=False, logging_level="warning")
    except ConnectionError:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        return True
    return False


def _free(host: str) -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        port: int = found.getsockname()[1]
        return port
