"""A data set scored on two nodes of a Ray cluster gives what one process gives, also after kills."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_run import rows
from tests.cli.world import Ran, World, finished, offramp, process, refused
from tests.serve.cluster import cluster, until

pytest.importorskip("ray", reason="Ray is not installed: pip install 'offramp[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray leaves much to the garbage collector

SLOW = """
import os
import time

import numpy as np


class Slow:
    def __len__(self):
        return 300

    def __getitem__(self, at):
        with open(os.environ["READ"], "ab") as file:
            file.write(b"%d\\n" % at)
        time.sleep(0.04)
        return self.x[at]

    def __init__(self):
        with np.load(os.environ["DATA"]) as arrays:
            self.x = arrays["x"]


def slow():
    return Slow()


def broken():
    found = Slow()
    found.x[250] = np.nan
    return found
"""
"""A data set that takes its time and notes who was read."""


@pytest.fixture(scope="module", autouse=True)
def nodes(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Path]:
    """A cluster whose processes note in a file which samples they read."""
    read = tmp_path_factory.mktemp("slow") / "read"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("READ", str(read))
        patch.setenv("DATA", world.data)
        with cluster():
            (read.with_name("slow.py")).write_text(SLOW)
            yield read


@pytest.fixture(scope="module")
def expected(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What one process says."""
    out = tmp_path_factory.mktemp("one") / "p.csv"
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--point", "fastest"]
    assert offramp(*arguments, "--out", out).code == 0
    return rows(out)


def same(found: list[dict[str, str]], expected: list[dict[str, str]]) -> None:
    assert len({row["exit"] for row in expected}) > 1
    for one, other in zip(found, expected, strict=True):
        assert {**one, "score": ""} == {**other, "score": ""}
        assert float(one["score"]) == pytest.approx(float(other["score"]), abs=2e-5)


def stages(world: World) -> int:
    """How many stages the fastest point has."""
    found = json.loads((world.bundle / "manifest.json").read_text())
    name = found["aliases"].get("fastest", "fastest")
    point = next(one for one in found["operating_points"] if one["name"] == name)
    places = {exit_["point"] for exit_, on in zip(found["exits"], point["enabled"], strict=False) if on}
    return len(places) + 1


@pytest.mark.parametrize("size", ["32", "7"])
def test_the_lines_are_those_of_one_process(
    world: World, tmp_path: Path, expected: list[dict[str, str]], size: str
) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--point", "fastest", "--ray"]
    several = ",".join(["2"] + ["1"] * (stages(world) - 1))
    out = tmp_path / "p.csv"
    result = offramp(*arguments, "--out", out, "--batch-size", size, "--replicas", several)
    assert result.code == 0, result
    assert result.out == f"300 predictions: {out}\n"
    assert "running: done (300)" in result.progress
    same(rows(out), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_never_leaving_early_is_one_stage(world: World, tmp_path: Path) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--point", "full"]
    assert offramp(*arguments, "--out", tmp_path / "a.csv").code == 0
    assert offramp(*arguments, "--out", tmp_path / "b.csv", "--ray", "--replicas", "2").code == 0
    first, second = rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv")
    assert [row["prediction"] for row in first] == [row["prediction"] for row in second]
    assert {row["exit"] for row in second} == {"backbone"}


def slow(world: World, nodes: Path, out: Path) -> list[str]:
    data = f"{nodes.with_name('slow.py')}:slow"
    return [
        *("run", str(world.bundle), *world.net, "--data", data, "--point", "fastest"),
        *("--ray", "--batch-size", "8", "--out", str(out)),
    ]


def answered(out: Path) -> int:
    """Bytes of answers that are kept."""
    kept = out.with_name(out.name + ".parts") / "answers.bin"
    return kept.stat().st_size if kept.exists() else 0


def workers(nodes: Path, kind: str) -> list[int]:
    """The processes of a pool on this test's own cluster, by what Ray calls them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            own = f"READ={nodes}".encode() in (entry / "environ").read_bytes()
            if own and kind.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.parametrize("kind", ["Scoring", "Reading"])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(
    world: World, nodes: Path, tmp_path: Path, expected: list[dict[str, str]], kind: str
) -> None:
    out = tmp_path / "p.csv"
    running = process(*slow(world, nodes, out))
    until(lambda: answered(out) > 0)
    victims = workers(nodes, kind)
    assert victims
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    assert ended(running).code == 0
    same(rows(out), expected)


def test_a_killed_run_goes_on_where_it_was(
    world: World, nodes: Path, tmp_path: Path, expected: list[dict[str, str]]
) -> None:
    out = tmp_path / "p.csv"
    running = process(*slow(world, nodes, out))
    until(lambda: answered(out) > 3000)
    running.kill()
    running.communicate()
    assert not out.exists()
    time.sleep(3.0)  # until the cluster has noticed, and nobody writes any more
    kept = answered(out)
    assert kept > 3000
    other = [*slow(world, nodes, out)]
    other[other.index("fastest")] = "full"
    refused(*other, saying=["unfinished run", "operating point", "--out"])
    with (out.with_name("p.csv.parts") / "answers.bin").open("ab") as stream:
        stream.write(b"half a record")
    nodes.write_bytes(b"")
    result = ended(process(*slow(world, nodes, out)))
    assert result.code == 0, result
    same(rows(out), expected)
    read = set(nodes.read_text().split())
    assert 0 < len(read) <= 303 - kept // (20 + 4 * 4)
    assert not out.with_name("p.csv.parts").exists()


def ended(running: "object") -> Ran:
    return finished(running)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        (["--ray", "--replicas", "1,1,1,1,1,1,1"], "numbers of replicas for"),
        (["--ray", "--replicas", "many"], "--replicas such as 4,2,1"),
        (["--replicas", "2"], "expected --ray beside --replicas"),
    ],
)
def test_bad_wishes_are_refused(world: World, tmp_path: Path, flags: list[str], saying: str) -> None:
    arguments = ["run", world.bundle, *world.net, "--data", world.data, "--out", tmp_path / "p.csv"]
    refused(*arguments, *flags, saying=saying)


def test_data_that_cannot_be_used_is_named(world: World, nodes: Path, tmp_path: Path) -> None:
    data = f"{nodes.with_name('slow.py')}:broken"
    arguments = ["run", world.bundle, *world.net, "--data", data, "--out", tmp_path / "p.csv", "--ray"]
    assert "sample 250" in refused(*arguments, saying=["NaN or infinity", "clean or drop it"])
