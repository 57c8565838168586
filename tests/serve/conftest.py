from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builds import bundle
from tests.serve.process import NETS, Running, running

collect_ignore = ["kserve_client.py"]
"""It imports what only another environment has."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    bundle().save(made / "toy")
    (made / "nets.py").write_text(NETS)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with running(folder, "--admin-token", "secret", "--max-body-mb", "1", "--audit-share", "0.5") as found:
        yield found
