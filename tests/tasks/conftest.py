import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cleared() -> Iterator[None]:
    """What the tests have built is removed with them."""
    yield
    if (made := sys.modules.get("tests.tasks.built")) is not None:
        made.forget()
