"""Two nodes of a Ray cluster on this machine, and the application on it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

ROOT = Path(__file__).parents[2]


@contextmanager
def cluster() -> Iterator[Any]:
    """Two nodes of four cores each, as far as Ray knows; what it starts finds offramp and the tests."""
    import ray
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray leaves sockets and processes to be found by the garbage collector
        patch.setenv("PYTHONPATH", path)
        patch.setenv("OMP_NUM_THREADS", "1")
        node = {"num_cpus": 4, "object_store_memory": 200 * 2**20}
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            made.add_node(**node)
            ray.init(address=made.address, log_to_driver=False, logging_level="error")
            patch.setenv("RAY_ADDRESS", made.address)
            yield made
        finally:
            with contextlib.suppress(Exception):
                ray.shutdown()
            made.shutdown()


@dataclass(frozen=True)
class Serving:
    """The application of a folder on a cluster."""

    folder: Path
    port: int

    def deploy(
        self, replicas: Sequence[int] = (1, 1, 1, 1), ingress: int = 1, point: str = "wide", generation: int = 0
    ) -> None:
        """By a config file, as people do it; where all else is the same, only what was changed is touched."""
        user: Any = {"operating_point": point, "generation": generation}
        stages = [{"name": f"Stage{place}", "num_replicas": number} for place, number in enumerate(replicas)]
        told = {
            "name": "toy",
            "route_prefix": "/",
            "import_path": "offramp.serve.ray:app",
            "args": {"folder": str(self.folder), "cpus": 0.5, "audit_share": 0.0},
            "deployments": [{"name": "Ingress", "num_replicas": ingress, "user_config": user}, *stages],
        }
        config = self.folder.with_name("app.yaml")
        http = {"host": "127.0.0.1", "port": self.port}
        config.write_text(json.dumps({"proxy_location": "HeadOnly", "http_options": http, "applications": [told]}))
        command = [str(Path(sys.executable).with_name("serve")), "run", str(config), "--non-blocking"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert ran.returncode == 0, ran.stderr[-2000:]
        wanted = {"Ingress": ingress} | {one["name"]: one["num_replicas"] for one in stages}
        until(lambda: wanted.items() <= self.replicas().items())

    def replicas(self) -> Mapping[str, int]:
        """How many of each deployment run."""
        from ray import serve

        found = serve.status().applications
        deployments = found["toy"].deployments if "toy" in found else {}
        return {name: one.replica_states.get("RUNNING", 0) for name, one in deployments.items()}

    def seen(self, deployment: str, replicas: int) -> Mapping[int, tuple[int, int]]:
        """Of each replica, by its process, how many samples and batches it has run; waits for so many to answer."""
        from ray import serve
        from ray.exceptions import RayActorError

        handle = serve.get_deployment_handle(deployment, "toy").options(method_name="seen")
        found: dict[int, tuple[int, int]] = {}

        def all_answered() -> bool:
            for asked in [handle.remote() for _ in range(8)]:
                with contextlib.suppress(RayActorError):  # Serve may not know yet of one that was killed
                    process, samples, batches = asked.result(timeout_s=60)
                    found[process] = samples, batches
            return len(found) >= replicas

        until(all_answered)
        return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until(true: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
