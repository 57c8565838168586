"""Wishes that do not go with Ray are refused before anything starts."""

from pathlib import Path

import pytest

from tests.cli.world import World, refused


@pytest.mark.filterwarnings("ignore")  # importing Ray warns
@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        (["--hold", "p95=1"], "expected no --hold with --ray"),
        (["--fallback"], "expected no --fallback with --ray"),
        (["--admin-token", "x"], "expected no --admin-token with --ray"),
        ([], "expected a folder that offramp export wrote"),
    ],
)
def test_bad_wishes_are_refused(world: World, flags: list[str], saying: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'offramp[ray]'")
    refused("serve", world.bundle, "--ray", *flags, saying=saying)


def test_replicas_need_ray(world: World) -> None:
    refused("serve", world.bundle, "--replicas", "2", saying="expected --ray beside --replicas")


def test_without_ray_the_command_that_installs_it_is_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    told = ["expected the package ray for", "pip install 'offramp[ray]'"]
    refused("serve", world.bundle, "--ray", saying=told)
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "p.csv", "--ray"]
    refused(*arguments, saying=told)
