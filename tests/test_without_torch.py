"""Exported models and the decision column run where only NumPy and ONNX Runtime are installed."""

import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offramp
from offramp import calibrate, decide, search, uncertainty
from tests import beside_numpy
from tests.builds import images
from tests.exports import distinct, exported

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]
POINTS = ("sooner", "full")

ALONE = """
import runpy, sys

ALLOWED = {"numpy", "offramp", "onnxruntime", *sys.stdlib_module_names}


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program as if nothing but NumPy and ONNX Runtime were installed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("alone") / "stages", POINTS)


def said(python: list[str], folder: Path, tmp_path: Path) -> dict[str, Any]:
    """What the program prints, run far from the repository."""
    np.save(tmp_path / "x.npy", images(40, 11).numpy())
    program = shutil.copy(beside_numpy.__file__, tmp_path)
    ran = subprocess.run(
        [*python, str(program), str(folder), str(tmp_path / "x.npy"), *POINTS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def check(found: dict[str, Any]) -> None:
    """All is there, and as it is with torch."""
    assert found["version"] == offramp.__version__
    assert found["absent"] == list(beside_numpy.ABSENT)
    known = {
        f"{package.__name__}.{one.name}"
        for package in (calibrate, decide, search, uncertainty)
        for one in _inside(package)
    }
    assert known < set(found["imported"])
    _check_exported(found["exported"])
    assert found["fronts"] == {name: [list(pair) for pair in front] for name, front in beside_numpy.fronts().items()}
    swept = {name: front for name, front in found["fronts"].items() if name not in ("uniform-0.9", "uniform-1")}
    assert all(len(front) > 1 for front in swept.values())
    assert "pip install openvino" in found["refusals"]["openvino"]
    for name in ("certify", "temperature", "vector", "isotonic"):
        assert "pip install scipy" in found["refusals"][name]


def _inside(package: Any) -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(package.__path__))


def _check_exported(found: dict[str, Any]) -> None:
    x, live, several = images(40, 11), distinct().use("full"), set()
    for name in POINTS:
        live.use(name)
        for rows, (output, exit_index, score) in zip(
            (slice(None), *(slice(row, row + 1) for row in range(5))), found[name], strict=True
        ):
            expected = live(x[rows])
            assert exit_index == expected.exit_index.tolist()
            np.testing.assert_allclose(output, expected.output.numpy(), rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(score, expected.score.numpy(), rtol=1e-4, atol=1e-4)
            several.update(exit_index)
    assert len(several) == 3


def test_with_all_other_packages_hidden(folder: Path, tmp_path: Path) -> None:
    check(said([sys.executable, "-c", ALONE], folder, tmp_path))


@pytest.mark.slow
def test_in_an_environment_of_its_own(folder: Path, tmp_path: Path) -> None:
    """`pip install --no-deps offramp` beside numpy and onnxruntime."""
    home = tmp_path / "home"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = str(home / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = [*pip, "--constraint", str(ROOT / "constraints.txt"), "numpy", "onnxruntime"]
    ran = subprocess.run(wanted, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"numpy and onnxruntime cannot be installed here: {ran.stderr.strip().splitlines()[-1]}")
    source = tmp_path / "source"  # a copy, since building leaves files behind
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*pip, "--no-deps", str(source)], check=True)
    found = said([python, "-I"], folder, tmp_path)
    assert Path(found["file"]).is_relative_to(home)
    check(found)
