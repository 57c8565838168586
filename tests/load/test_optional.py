import sys
from pathlib import Path

import pytest

from offramp.errors import InputError
from offramp.load.optional import require


def test_imports() -> None:
    assert require("torchvision.models", "models").__name__ == "torchvision.models"


def test_a_missing_package_names_its_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "timm").mkdir()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"expected the package timm for x, got none installed; .*offramp\[hub\]"):
        require("timm", "x")


@pytest.mark.parametrize(
    "fault", ["raise RuntimeError('operator torchvision::nms does not exist')", "import no_such_module"]
)
def test_a_broken_package_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str) -> None:
    (tmp_path / "pyarrow.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    with pytest.raises(InputError, match=r"working package pyarrow for tables, but importing it failed: .*no"):
        require("pyarrow", "tables")
