"""One tiny world for all tests of the command line."""

import shutil
from pathlib import Path

import pytest
from benchmarks import torchvision_shim

from tests.cli.world import World, make_world

torchvision_shim.install()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def bundle(world: World, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(world.bundle, tmp_path / "bundle"))
