import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from offramp.bundle import MANIFEST, Bundle
from offramp.errors import BundleError, DataError
from offramp.pipeline import WORK
from tests.builds import RECIPE, SAMPLES, bundle, make, text_of
from tests.toys import CNN, untouched


class Stopped(Exception):  # noqa: N818
    pass


def stages() -> list[tuple[str, int, int]]:
    """Everything progress is told in one build."""
    told: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "b", progress=note)
    return told


def test_interrupted_anywhere_and_called_again_it_ends_the_same(tmp_path: Path) -> None:
    told = stages()
    assert len({stage for stage, _, _ in told}) >= 6
    points = {stage: [i for i, (s, _, _) in enumerate(told) if s == stage] for stage, _, _ in told}
    for number, (stage, places) in enumerate(points.items()):
        model, out = CNN.model().train(), tmp_path / str(number)
        for place in {places[0], places[len(places) // 2], places[-1]}:
            count = iter(range(10**6))

            def stop(_stage: str, _done: int, _total: int, count: Any = count, place: int = place) -> None:
                if next(count) == place:
                    raise Stopped

            try:
                with untouched(model):
                    make(out, model=model, progress=stop)
            except Stopped:
                pass
            else:
                assert not (out / WORK).exists(), stage
                break
            assert not (out / MANIFEST).exists()
        built = make(out, model=model, overwrite=True)
        assert text_of(built) == text_of(bundle()), stage
        torch.testing.assert_close(dict(built.heads), dict(bundle().heads), rtol=0, atol=0)
        assert not (out / WORK).exists()


def test_what_an_earlier_build_with_other_wishes_left_behind_is_not_used(tmp_path: Path) -> None:
    """An unfinished training of other heads, another seed or another regime has nothing to say here."""

    def stop(stage: str, done: int, _total: int) -> None:
        if stage == "training heads" and done == 3:
            raise Stopped

    for wishes in ({"seed": 7}, {"recipe": replace(RECIPE, regime="selfxit")}, {"model": CNN.model(seed=1)}):
        with pytest.raises(Stopped):
            make(tmp_path / "a", progress=stop, **wishes)
    assert text_of(make(tmp_path / "a")) == text_of(bundle())


def test_a_bundle_is_not_overwritten_unless_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "a")
    before = (tmp_path / "a" / MANIFEST).read_bytes()
    with pytest.raises(BundleError, match="with a bundle in it; choose another, or pass overwrite"):
        make(tmp_path / "a", seed=3)
    assert (tmp_path / "a" / MANIFEST).read_bytes() == before
    make(tmp_path / "a", seed=3, overwrite=True)
    assert json.loads((tmp_path / "a" / MANIFEST).read_text())["split"]["seed"] == 3


def test_a_refused_build_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "not" / "yet"):
        with pytest.raises(DataError, match="NaN"):
            make(folder, data=torch.full((SAMPLES, 3, 12, 12), torch.nan))
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_an_overwriting_build_that_fails_leaves_the_old_bundle(tmp_path: Path) -> None:
    make(tmp_path / "a")

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "training heads":
            raise Stopped

    with pytest.raises(Stopped):
        make(tmp_path / "a", seed=3, overwrite=True, progress=stop)
    assert text_of(Bundle.load(tmp_path / "a")) == text_of(bundle())
