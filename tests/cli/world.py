"""A tiny network in a file, data for it, and the command line called in this process or as a real one."""

import contextlib
import io
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from offramp.cli.app import main
from offramp.load.factories import call_factory

NET = '''
import os
import time

import torch
from torch import nn


def block(channels_in, channels, stride):
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, stride, 1), nn.BatchNorm2d(channels), nn.ReLU())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1, self.b2 = block(3, 8, 1), block(8, 16, 2)
        self.b3, self.b4 = block(16, 24, 1), block(24, 24, 1)
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        return self.fc(self.b4(self.b3(self.b2(self.b1(x)))).mean((2, 3)))


class Counted(Net):
    """Notes each call in the file COUNT, and takes its time."""

    def forward(self, x):
        with open(os.environ["COUNT"], "ab") as file:
            file.write(b".")
        time.sleep(0.003)
        return super().forward(x)


def net():
    torch.manual_seed(0)
    return Net()


def grey():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))


def counted():
    return Counted()


def broken():
    raise RuntimeError("the factory is broken")
'''


@dataclass(frozen=True)
class Ran:
    """What a command left behind; `err` without the notes of progress."""

    code: int
    out: str
    err: str
    progress: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """The files of the tests; none of them is ever changed."""

    folder: Path

    @property
    def net(self) -> list[str]:
        """The model with its weights, as arguments."""
        return [f"{self.folder / 'net.py'}:net", "--weights", str(self.folder / "weights.safetensors")]

    @property
    def data(self) -> str:
        """300 images with labels."""
        return str(self.folder / "data.npz")

    @property
    def bundle(self) -> Path:
        """Built from them, without labels."""
        return self.folder / "bundle"

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels."""
        with np.load(self.data) as arrays:
            return arrays["x"], arrays["y"]


def offramp(*arguments: Any) -> Ran:
    """`offramp ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return ran(code, out.getvalue(), err.getvalue())


def ran(code: int, out: str, err: str) -> Ran:
    lines = err.splitlines()
    progress = [line for line in lines if re.fullmatch(r".*: done \(\d+\)", line)]
    return Ran(code, out, "\n".join(line for line in lines if line not in progress), tuple(progress))


def refused(*arguments: Any, saying: Sequence[str] | str) -> str:
    """The one line with which a command is refused: exit code 2, nothing on standard output, all words in it."""
    return check_refused(offramp(*arguments), saying)


def check_refused(result: Ran, saying: Sequence[str] | str) -> str:
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) == 1
    for words in [saying] if isinstance(saying, str) else saying:
        assert words in result.err, result.err
    return result.err


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "offramp", *map(str, arguments)]


def process(*arguments: Any, **environment: str) -> "subprocess.Popen[str]":
    """`python -m offramp ARGUMENTS`, running."""
    return subprocess.Popen(
        command(*arguments),
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running: "subprocess.Popen[str]", *, before: str = "") -> Ran:
    """What a process left behind; `before` is what has been read of its standard error already."""
    out, err = running.communicate(timeout=120)
    return ran(running.returncode, out, before + err)


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@contextlib.contextmanager
def full_disk(left: int) -> Iterator[None]:
    """No file may grow beyond `left` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def make_world(folder: Path) -> World:
    world = World(folder)
    (folder / "net.py").write_text(NET)
    x = np.random.default_rng(0).standard_normal((300, 3, 8, 8)).astype(np.float32)
    model = call_factory(f"{folder / 'net.py'}:net").eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(x))
        model.fc.weight.div_(logits.std(0, correction=0)[:, None])
        model.fc.bias.sub_(logits.mean(0)).div_(logits.std(0, correction=0))
        y = model(torch.from_numpy(x)).argmax(1).numpy()
    save_file(model.state_dict(), folder / "weights.safetensors")
    y[::10] = (y[::10] + 1) % 4
    np.savez(folder / "data.npz", x=x, y=y)
    built = offramp("build", *world.net, "--data", world.data, "--out", world.bundle, *QUICK)
    assert built.code == 0, built
    return world


QUICK = ("--recipe", "quick", "--max-drop", "0.25", "--batch-sizes", "")
"""A goal that 60 samples can certify; no timing, so that equal builds are equal byte for byte."""
