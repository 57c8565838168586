from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from offramp.report import (
    advice,
    front,
    heads,
    hits,
    landscapes,
    methods,
    points,
    profiles,
    pulls,
    reliability,
    speed,
    style,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn, for a look at what is in them."""
    found: list[Figure] = []
    original = style.figure

    @contextmanager
    def kept(path: Path, width: float, height: float) -> Iterator[Figure]:
        with original(path, width, height) as one:
            found.append(one)
            yield one

    for module in (advice, front, heads, hits, landscapes, methods, points, profiles, pulls, reliability, speed):
        monkeypatch.setattr(module, "figure", kept)
    return found
