from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from offramp.errors import InputError
from offramp.load.sources import open_source

FACTORY = """
import torch
def pair():
    return torch.ones(3, 2), torch.tensor([2, 1, 0])
def dataset():
    return torch.utils.data.TensorDataset(torch.ones(3, 2), torch.tensor([2, 1, 0]))
def path():
    return "elsewhere.npz"
"""


@pytest.mark.parametrize("factory", ["pair", "dataset"])
def test_a_factory_makes_data(tmp_path: Path, factory: str) -> None:
    (tmp_path / "data.py").write_text(FACTORY)
    source = open_source(f"{tmp_path}/data.py:{factory}")
    assert source.name == f"{tmp_path}/data.py:{factory}"
    assert_close(source.inputs(np.arange(2)), torch.ones(2, 2))
    assert source.labels().tolist() == [2, 1, 0]


def test_a_factory_may_make_a_source(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(
        "import numpy as np\nfrom offramp.load.combine import subset\nfrom offramp.load.sources import open_source\n"
        "def some():\n    return subset(open_source(np.arange(12.0).reshape(6, 2)), np.array([4, 1]))\n"
    )
    source = open_source(f"{tmp_path}/data.py:some")
    found = source.inputs(np.array([0, 1]))
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [[8.0, 9.0], [2.0, 3.0]]


def test_a_factory_makes_no_paths(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(FACTORY)
    with pytest.raises(InputError, match=r"to return a Dataset or arrays, got str; return the data"):
        open_source(f"{tmp_path}/data.py:path")


def test_a_missing_path_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected data at 'none.npz', got no such file or folder"):
        open_source("none.npz")


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x", "x.py"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=r"folder of images, .npz, .tar, .csv, .csv.gz, .* or FILE.py:FACTORY; got"):
        open_source(tmp_path / name)


def test_labels_belong_beside_pictures(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)))
    with pytest.raises(InputError, match=r"expected labels= only beside a folder or .tar of images"):
        open_source(tmp_path / "d.npz", labels="l.csv")
