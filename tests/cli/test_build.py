import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from offramp.bundle import Bundle
from offramp.errors import BundleError
from offramp.load.models import load_model
from offramp.pipeline import build
from offramp.steps import steps
from tests.cli.world import (
    QUICK,
    World,
    check_refused,
    command,
    finished,
    full_disk,
    offramp,
    process,
    ran,
    refused,
    snapshot,
)

FILES = {"manifest.json", "heads.safetensors", "splits.safetensors"}


def test_makes_a_bundle_and_says_what_it_does(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = offramp("build", *world.net, "--data", world.data, "--out", tmp_path / "new" / "b", *QUICK)
    assert result.code == 0
    assert result.err == ""
    assert result.progress[0] == "capturing the model: done (1)"
    assert result.progress[-1].startswith("training heads: done")
    assert set(snapshot(tmp_path / "new" / "b")) == FILES
    assert re.search(r"certified\n.*disagreement", result.out)
    assert "full" in result.out
    assert f"bundle: {tmp_path / 'new' / 'b'}" in result.out
    assert max(len(line) for line in result.out.splitlines() if "%" in line) <= 80
    assert snapshot(tmp_path / "new" / "b") == snapshot(world.bundle)


def test_json_is_all_there_is_on_standard_output(world: World, tmp_path: Path) -> None:
    result = offramp("build", *world.net, "--data", world.data, "--out", tmp_path / "b", *QUICK, "--json")
    found = json.loads(result.out)
    assert found["bundle"] == str(tmp_path / "b")
    assert found["risk"] == "disagreement"
    assert found["points"][0]["bound"].keys() == {"risk", "epsilon", "delta", "method", "n"}
    assert found["seconds"] > 0


def test_time_is_estimated_at_the_batch_sizes_asked_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["build", *world.net, "--data", world.data, "--out", tmp_path / "b", *QUICK, "--batch-sizes", "1,4"]
    result = offramp(*arguments)
    assert result.code == 0
    assert result.progress[-1] == "measuring seconds: done (2)"
    assert re.search(r"est. time +est. time", result.out)
    assert re.search(r"at 1 +at 4", result.out)
    assert re.search(r"full +100.0 % +100.0 % +100.0 %", result.out)
    assert max(len(line) for line in result.out.splitlines() if "%" in line) <= 80


def test_labels_change_the_risk(world: World, tmp_path: Path) -> None:
    out = tmp_path / "b"
    assert offramp("build", *world.net, "--data", world.data, "--out", out, *QUICK, "--labels").code == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["risk"] == "error"
    assert {point["bound"]["risk"] for point in manifest["operating_points"]} == {"error"}


def test_a_bound_on_the_average_is_never_shown_as_a_probability(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "b"
    built = offramp("build", *world.net, "--data", world.data, "--out", out, *QUICK, "--guarantee", "crc")
    evaluated = offramp("evaluate", out, *world.net, "--data", world.data, "--batch-sizes", "")
    assert (built.code, evaluated.code) == (0, 0)
    assert re.search(r"certified\n.*disagreement\n.*on average\n", built.out)
    assert "certified: disagreement on average" in " ".join(evaluated.out.split())
    for shown in (built.out, evaluated.out):
        assert "with probability" not in shown
        assert max(len(line) for line in shown.splitlines() if "≤" in line) <= 80
    assert "on average over draws of the certify part" in built.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert {point["bound"]["delta"] for point in manifest["operating_points"]} == {None}
    assert manifest["provenance"]["guarantee"] == "crc"
    assert {point.bound.delta for point in Bundle.load(out).points if point.bound} == {None}


def test_the_gap_is_bounded_where_labels_are_read(world: World, tmp_path: Path) -> None:
    out, flags = tmp_path / "b", ("--labels", "--guarantee", "ucb-wsr")
    result = offramp("build", *world.net, "--data", world.data, "--out", out, *QUICK, *flags)
    assert result.code == 0
    assert re.search(r"certified\n.*gap\n", result.out)
    assert "hold together with probability 0.9" in result.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["risk"] == "error"
    assert {point["bound"]["risk"] for point in manifest["operating_points"]} == {"gap"}


def test_an_unknown_guarantee_is_refused(world: World, tmp_path: Path) -> None:
    arguments = ["build", *world.net, "--data", world.data, "--out", tmp_path / "b", "--guarantee", "sure"]
    refused(*arguments, saying=["expected a guarantee among crc, ltt, ltt-bonferroni", "'sure'"])


def test_options_reach_the_manifest(world: World, tmp_path: Path) -> None:
    more = tmp_path / "more.npz"
    np.savez(more, x=world.arrays()[0][:40])
    flags = ["--split", "40/20/20/20", "--seed", "3", "--delta", "0.2", "--extra-data", more, "--extra-data", more]
    assert offramp("build", *world.net, "--data", world.data, "--out", tmp_path / "b", *QUICK, *flags).code == 0
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["split"]["counts"] == {"train": 120, "choose": 60, "certify": 60, "report": 60}
    assert manifest["split"]["seed"] == 3
    assert manifest["goal"] == {"max_drop": 0.25, "delta": 0.2}
    assert [data["samples"] for data in manifest["extra_data"]] == [40, 40]


def test_an_existing_bundle_is_replaced_only_on_request(world: World, bundle: Path) -> None:
    before = snapshot(bundle)
    arguments = ["build", *world.net, "--data", world.data, "--out", bundle, *QUICK, "--seed", "1"]
    refused(*arguments, saying=["bundle in it", str(bundle), "overwrite"])
    assert snapshot(bundle) == before
    assert offramp(*arguments, "--overwrite").code == 0
    assert set(snapshot(bundle)) == FILES
    assert snapshot(bundle) != before


def test_explain_prints_a_program_that_does_the_same(world: World, tmp_path: Path) -> None:
    more, out = tmp_path / "more.npz", tmp_path / "explained"
    np.savez(more, x=world.arrays()[0][:40])
    flags = ["--data", world.data, *QUICK, "--labels", "--extra-data", more, "--seed", "2"]
    explained = offramp("build", *world.net, "--out", out, *flags, "--explain")
    assert explained.code == 0
    assert explained.err == ""
    assert not out.exists()
    exec(compile(explained.out, "steps.py", "exec"), {"__name__": "steps"})
    assert offramp("build", *world.net, "--out", tmp_path / "built", *flags).code == 0
    assert Bundle.load(out).points == Bundle.load(tmp_path / "built").points
    assert {name: snapshot(out)[name] for name in FILES} == snapshot(tmp_path / "built")


def test_explain_writes_what_the_flags_say() -> None:
    program = steps("timm:resnet50", "photos", "b", preprocess={"size": (8, 8)}, label_file="labels.csv")
    compile(program, "steps.py", "exec")
    assert "load_model('timm:resnet50', preprocess={'size': (8, 8)})" in program
    assert "open_source('photos', loaded.preprocess, labels='labels.csv')" in program
    assert "labels = None" in program


def test_image_folders_take_labels_from_a_csv(world: World, tmp_path: Path) -> None:
    from PIL import Image

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for index in range(60):
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(pictures / f"{index:02d}.png")
    table = "file,class_index\n" + "".join(f"{index:02d}.png,{index % 4}\n" for index in range(60))
    (tmp_path / "labels.csv").write_text(table)
    flags = ["--data", pictures, "--mean", "0.5", "--size", "8x8", "--recipe", "quick", "--labels"]
    arguments = ["build", *world.net, *flags, "--out", tmp_path / "b"]
    refused(*arguments, saying=["expected labels for", "--label-file"])
    assert offramp(*arguments, "--label-file", tmp_path / "labels.csv", "--max-drop", "0.9").code == 0


def changed(world: World, folder: Path, change: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]) -> Path:
    np.savez(folder / "changed.npz", **change(*world.arrays()))  # type: ignore[arg-type]
    return folder / "changed.npz"


def with_nan(x: np.ndarray) -> np.ndarray:
    x[7, 0, 0, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("change", "flags", "saying"),
    [
        (
            lambda x, _: {"x": x[:, :2]},
            [],
            ["expected inputs that Net takes, got (2, 8, 8)", "channels", "changed.npz"],
        ),
        (lambda x, _: {"x": x.reshape(300, -1)}, [], ["got (192,) float32", "changed.npz"]),
        (lambda x, _: {"x": (x * 40).astype(np.int64)}, [], ["got (3, 8, 8) int64"]),
        (lambda x, _: {"x": with_nan(x)}, [], ["NaN", "sample 7", "changed.npz"]),
        (lambda x, _: {"x": x[:0]}, [], ["at least one sample", "changed.npz"]),
        (lambda x, _: {"x": x[:3]}, [], ["samples for every part, got 3", "add data"]),
        (lambda x, _: {"z": x}, [], ["expected an array 'x'", "got z"]),
        (lambda x, _: {"x": (x > 0).astype(np.uint8) * 255}, [], ["preprocessing", "--mean"]),
        (lambda x, _: {"x": x}, ["--labels"], ["expected labels in", "changed.npz", "array y"]),
        (lambda x, y: {"x": x, "y": y + 7}, ["--labels"], ["labels in 0..3", "got 7..10"]),
        (lambda x, y: {"x": x, "y": y[:5]}, ["--labels"], ["300 labels", "got 5"]),
        (lambda x, y: {"x": x, "y": y + 0.5}, ["--labels"], "class indices or class names"),
    ],
)
def test_bad_data_is_refused(
    world: World, tmp_path: Path, change: Any, flags: list[str], saying: str | list[str]
) -> None:
    data = changed(world, tmp_path, change)
    refused("build", *world.net, "--data", data, "--out", tmp_path / "b", *QUICK, *flags, saying=saying)
    assert not (tmp_path / "b" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (lambda x, _: {"x": x[:, :2]}, ["expected inputs (3, 8, 8) float32", "got (2, 8, 8)", "changed.npz"]),
        (lambda x, _: {"x": x.repeat(2, 2).repeat(2, 3)}, ["expected inputs (3, 8, 8) float32", "got (3, 16, 16)"]),
        (lambda x, _: {"x": with_nan(x)}, ["NaN", "sample 7"]),
    ],
)
def test_bad_extra_data_is_refused(world: World, tmp_path: Path, change: Any, saying: list[str]) -> None:
    extra = changed(world, tmp_path, change)
    arguments = ["build", *world.net, "--data", world.data, "--extra-data", extra, "--out", tmp_path / "b", *QUICK]
    refused(*arguments, saying=saying)


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("data.xyz", b"1", ["a folder of images, .npz", "'.xyz'"]),
        ("data.npz", b"no zip", ["damaged", "data.npz"]),
        ("none.npz", None, ["expected data at", "none.npz"]),
    ],
)
def test_other_files_are_refused(
    world: World, tmp_path: Path, name: str, content: bytes | None, saying: list[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused("build", *world.net, "--data", tmp_path / name, "--out", tmp_path / "b", saying=saying)


@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        (["--split", "1/2/3"], ["50/15/20/15", "'1/2/3'"]),
        (["--split", "a/b/c/d"], ["50/15/20/15", "'a/b/c/d'"]),
        (["--split", "50/50/0/0"], "four positive shares"),
        (["--split", "nan/1/1/1"], "four positive shares"),
        (["--max-drop", "0"], ["max_drop", "got 0.0", "0.01"]),
        (["--max-drop", "2"], ["max_drop", "got 2.0"]),
        (["--max-drop", "nan"], ["max_drop", "got nan"]),
        (["--max-drop", "much"], ["'--max-drop'", "see offramp build --help"]),
        (["--delta", "0"], ["delta", "got 0.0"]),
        (["--delta", "nan"], ["delta", "got nan"]),
        (["--seed", "-1"], ["seed", "got -1"]),
        (["--seed", str(2**70)], "seed"),
        (["--recipe", "quik"], ["expected a recipe among offramp, heads-only, labels, selfxit, ", "'quik'"]),
        (["--recipe", "labels"], ["expected labels", "--labels"]),
        (["--recipe", "labels", "--labels", "--extra-data", "DATA"], ["no extra data", "distil"]),
        (["--batch-size", "0"], "'--batch-size'"),
        (["--wide"], ["--wide", "see offramp build --help"]),
    ],
)
def test_bad_wishes_are_refused(world: World, tmp_path: Path, flags: list[str], saying: str | list[str]) -> None:
    flags = [world.data if flag == "DATA" else flag for flag in flags]
    refused("build", *world.net, "--data", world.data, "--out", tmp_path / "b", *flags, saying=saying)
    assert not any(snapshot(tmp_path))


class Bomb:
    def __reduce__(self) -> Any:
        return (os.system, (f"touch {os.environ['BOMB']}",))


@pytest.mark.parametrize(
    ("name", "saying"),
    [
        ("cut.safetensors", ["cut.safetensors", "damaged"]),
        ("cut.pt", ["cut.pt", "damaged"]),
        ("bomb.pt", ["bomb.pt", "holds code", "not run"]),
        ("bomb.pkl", ["bomb.pkl", "holds code", "not run"]),
        ("bomb.safetensors", ["expected safetensors", "torch pickle"]),
        ("other.safetensors", ["weights", "Net", "fc.bias (4,)"]),
        ("none.safetensors", "no such file"),
        (".", "no such file"),
    ],
)
def test_bad_weights_are_refused_and_never_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, saying: str | list[str]
) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    whole = (world.folder / "weights.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    torch.save(load_file(world.folder / "weights.safetensors"), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:3000])
    for bomb in ("bomb.pt", "bomb.safetensors"):
        torch.save({"weight": Bomb()}, tmp_path / bomb)
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "other.safetensors").write_bytes(whole)
    spec = f"{world.folder / 'net.py'}:net"
    if name == "other.safetensors":
        spec = world.net[0].replace(":net", ":wide")
        (tmp_path / "net.py").write_text((world.folder / "net.py").read_text() + WIDE)
        spec = f"{tmp_path / 'net.py'}:wide"
    arguments = ["--weights", tmp_path / name, "--data", world.data, "--out", tmp_path / "b"]
    refused("build", spec, *arguments, saying=saying)
    assert not (tmp_path / "exploded").exists()


WIDE = """
def wide():
    model = Net()
    model.fc = nn.Linear(24, 5)
    return model
"""


def test_a_file_in_the_place_of_the_folder_is_kept(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        refused("build", *world.net, "--data", world.data, "--out", out, saying=[f"cannot write to {out}", "choose"])
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refused("build", *world.net, "--data", world.data, "--out", tmp_path / "closed" / "b", saying="cannot write to")


@pytest.mark.parametrize("left", [16_000, 400_000])
def test_a_full_disk_is_said_and_the_work_goes_on(world: World, tmp_path: Path, left: int) -> None:
    """First the features do not fit, then the checkpoint of the heads."""
    arguments = ["build", *world.net, "--data", world.data, "--out", tmp_path / "b", *QUICK]
    with full_disk(left):
        refused(*arguments, saying="free space or choose another folder")
    again = offramp(*arguments)
    assert again.code == 0
    assert any("backbone over train" in line for line in again.progress) == (left == 16_000)
    assert snapshot(tmp_path / "b") == snapshot(world.bundle)


def test_a_full_disk_leaves_an_existing_bundle_alone(bundle: Path) -> None:
    before, loaded = snapshot(bundle), Bundle.load(bundle)
    with full_disk(20_000), pytest.raises(BundleError, match=r"cannot write the bundle .* free space"):
        loaded.save(bundle)
    assert snapshot(bundle) == before


def test_a_small_disk_is_said_and_leaves_no_traceback(world: World, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting is not permitted here")
    try:
        result = offramp("build", *world.net, "--data", world.data, "--out", disk / "b", *QUICK)
        check_refused(result, ["No space left on device", "free space"])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def until(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Waits for a state of a process that is still running then."""
    deadline = time.monotonic() + 60
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def noted(file: Path) -> int:
    return int(json.loads(file.read_text())["done"]) if file.exists() else 0


def test_ctrl_c_loses_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the pass over the training part; the second run makes only the calls that were missing."""
    model = [world.net[0].replace(":net", ":counted"), *world.net[1:]]
    flags = ["--data", world.data, *QUICK, "--batch-size", "1"]
    running = process("build", *model, *flags, "--out", tmp_path / "b", COUNT=str(tmp_path / "first"))
    until(lambda: noted(tmp_path / "b" / ".build" / "train0" / "progress.json") >= 32, running)
    running.send_signal(signal.SIGINT)
    stopped = finished(running)
    assert stopped.code == 130
    assert stopped.err == "error: interrupted; the same command goes on where it stopped"
    assert stopped.out == ""
    assert not (tmp_path / "b" / "manifest.json").exists()
    done = noted(tmp_path / "b" / ".build" / "train0" / "progress.json")
    assert 32 <= done < 150
    monkeypatch.setenv("COUNT", str(tmp_path / "second"))
    again = offramp("build", *model, *flags, "--out", tmp_path / "b")
    assert again.code == 0
    assert again.progress[1:] == ("backbone over train: done (150)", "training heads: done (15)")
    monkeypatch.setenv("COUNT", str(tmp_path / "third"))
    assert offramp("build", *model, *flags, "--out", tmp_path / "whole").code == 0
    assert snapshot(tmp_path / "b") == snapshot(tmp_path / "whole")
    saved = (tmp_path / "third").stat().st_size - (tmp_path / "second").stat().st_size
    assert saved == 45 + 60 + 45 + done


LONGER: dict[str, Any] = {"max_drop": 0.25, "timed": ()}


@pytest.fixture(scope="module")
def longer(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an uninterrupted build whose training takes a second or two; its data lies beside it."""
    folder, x = tmp_path_factory.mktemp("longer"), world.arrays()[0]
    np.savez(folder / "longer.npz", x=np.concatenate([x, x + 0.01]))
    build(load_model(world.net[0], world.net[2]), str(folder / "longer.npz"), out=folder / "whole", **LONGER)
    return folder / "whole"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_training_goes_on_at_its_epoch(world: World, longer: Path, tmp_path: Path, how: signal.Signals) -> None:
    out, data = tmp_path / "b", str(longer.parent / "longer.npz")
    running = process("build", *world.net, "--data", data, "--out", out, "--max-drop", "0.25", "--batch-sizes", "")
    until(lambda: any((out / ".build").glob("heads-*.checkpoint")), running)
    running.send_signal(how)
    stopped = finished(running)
    assert stopped.code == (130 if how == signal.SIGINT else -9)
    assert len(stopped.err.splitlines()) == (1 if how == signal.SIGINT else 0)
    (checkpoint,) = (out / ".build").glob("heads-*.checkpoint")
    epoch = torch.load(checkpoint, weights_only=True)["epoch"]
    heard: list[tuple[str, int]] = []
    loaded = load_model(world.net[0], world.net[2])
    build(loaded, data, out=out, progress=lambda stage, done, total: heard.append((stage, done)), **LONGER)
    assert heard[:2] == [("capturing the model", 0), ("capturing the model", 1)]
    assert heard[2] == ("training heads", epoch + 1)
    assert snapshot(out) == snapshot(longer)


def test_other_wishes_do_not_go_on_from_the_same_heads(world: World, tmp_path: Path) -> None:
    """A build that stopped after training with other labels must not hand its heads on."""
    x, y = world.arrays()
    np.savez(tmp_path / "data.npz", x=x, y=np.roll(y, 1))
    arguments = ["build", *world.net, "--data", tmp_path / "data.npz", "--recipe", "labels", "--labels"]
    arguments += ["--max-drop", "0.9", "--batch-size", "300", "--batch-sizes", ""]
    first = process(*arguments, "--out", tmp_path / "b")
    until(lambda: any((tmp_path / "b" / ".build").glob("heads-*.checkpoint")), first)
    first.kill()
    finished(first)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    assert offramp(*arguments, "--out", tmp_path / "b").code == 0
    assert offramp(*arguments, "--out", tmp_path / "whole").code == 0
    assert snapshot(tmp_path / "b") == snapshot(tmp_path / "whole")


def test_an_error_in_the_models_own_code_is_one_line(world: World, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text((world.folder / "net.py").read_text() + ODD)
    arguments = ["build", f"{tmp_path / 'odd.py'}:odd", "--data", world.data, "--out", tmp_path / "b", *QUICK]
    result = offramp(*arguments, "--batch-size", "64")
    assert result.code in (1, 2)
    assert len(result.err.splitlines()) == 1
    assert "too large a batch" in result.err


ODD = """
class Odd(Net):
    def forward(self, x):
        if not torch.compiler.is_exporting() and len(x) > 8:
            raise ZeroDivisionError("too large a batch")
        return super().forward(x)

def odd():
    return Odd()
"""


def test_an_unexpected_error_shows_its_origin_on_request(world: World, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text((world.folder / "net.py").read_text() + ODD)
    arguments = command("build", f"{tmp_path / 'odd.py'}:odd", "--data", world.data, "--out", tmp_path / "b", *QUICK)
    environment = os.environ | {"OFFRAMP_TRACEBACK": "1"}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert re.search(r"odd.py\", line \d+, in forward", done.stderr)
    assert ran(done.returncode, done.stdout, done.stderr).out == ""
    assert sys.executable in arguments[0]


def test_heads_are_searched_for_shown_and_drawn(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, figure = tmp_path / "b", tmp_path / "found.png"
    wishes = ["--search-heads", "2", "--points", "0"]
    result = offramp(
        "build", *world.net, "--data", world.data, "--out", out, *QUICK, *wishes, "--search-figure", figure
    )
    assert result.code == 0
    assert "searching heads: done (2)" in result.progress
    assert "the best head of each point" in result.out
    assert figure.stat().st_size > 1000
    assert set(snapshot(out)) == {*FILES, "head_search.log"}
    (found,) = json.loads((out / "manifest.json").read_text())["provenance"]["head_search"]
    assert found["best"]["head"] in re.sub(r"\s", "", result.out)
    assert found["trials"] == 2


def test_a_figure_without_a_search_is_refused(world: World, tmp_path: Path) -> None:
    arguments = ["build", *world.net, "--data", world.data, "--out", tmp_path / "b", *QUICK]
    check_refused(offramp(*arguments, "--search-figure", tmp_path / "a.png"), "expected a search to draw")
    check_refused(offramp(*arguments, "--search-heads", "2", "--search-figure", tmp_path / "a.bmp"), "figure as")
    assert not (tmp_path / "b").exists()
