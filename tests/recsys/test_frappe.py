"""Frappe's rows and their parts, and models that learn from rows."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.recsys.dlrm import DLRM
from benchmarks.recsys.frappe import SIZES, Rows, dlrm, parts, rows_of, write
from benchmarks.recsys.learning import Course, FactorizationMachine, auc, figures, learn, logits_of
from safetensors.torch import save_file
from sklearn.metrics import log_loss, roc_auc_score
from torch.testing import assert_close

from offramp.load.click_preprocess import ClickPreprocess
from offramp.load.models import load_model
from offramp.load.sources import open_source

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OFFRAMP_DATA", ROOT / ".." / "shared" / "data")).resolve()
FIRST = [sum(SIZES[:field]) for field in range(len(SIZES))]
COURSE = Course(rate=0.01, table_rate=0.01, shrink=0.001, warm_up=20, patience=60)


def libfm(path: Path, users: list[int], labels: list[int]) -> Path:
    """Rows that differ in the user alone."""
    rest = " ".join(f"{first}:1" for first in FIRST[1:])
    path.write_text("".join(f"{label} {user}:1 {rest}\n" for user, label in zip(users, labels, strict=True)))
    return path


def either(count: int, seed: int) -> Rows:
    """Rows of two fields, clicked where exactly one of their ids is odd: a matter of both together."""
    ids = torch.randint(0, 6, (count, 2), generator=torch.Generator().manual_seed(seed))
    return Rows(ids, (ids.sum(1) % 2).to(torch.int64))


def test_rows_that_are_alike_are_kept_once(tmp_path: Path) -> None:
    rows, lines = rows_of(libfm(tmp_path / "d.libfm", [4, 2, 4, 3], [1, -1, 1, -1]))
    assert lines.tolist() == [0, 1, 3]
    assert rows.ids[:, 0].tolist() == [4, 2, 3]
    assert rows.clicks.tolist() == [1, 0, 0]
    assert rows.ids[:, 1:].abs().max() == 0


def test_parts_share_no_row_and_leave_none_out() -> None:
    sizes = {"train": 5, "held": 2, "test": 3}
    found = parts(10, sizes, seed=1)
    assert {name: len(part) for name, part in found.items()} == sizes
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(10))
    assert found["train"].tolist() != parts(10, sizes, seed=2)["train"].tolist()
    with pytest.raises(ValueError, match=r"expected parts of 11 rows together"):
        parts(11, sizes, seed=1)


def test_parts_are_written_as_rows_with_or_without_labels(tmp_path: Path) -> None:
    source = tmp_path / "d.libfm.gz"
    source.write_bytes(gzip.compress(libfm(tmp_path / "d.libfm", [4, 2, 4, 3], [1, -1, 1, -1]).read_bytes()))
    for labels in (True, False):
        write(source, np.array([3, 0]), tmp_path / "some.libfm", labels)
        read = open_source(tmp_path / "some.libfm", ClickPreprocess(SIZES))
        found = read.inputs(np.arange(2))
        assert isinstance(found, torch.Tensor)
        assert found[:, 0].tolist() == [3, 4]
    write(source, np.array([3, 0]), tmp_path / "some.libfm")
    assert open_source(tmp_path / "some.libfm").labels().tolist() == [0, 1]


def test_no_row_of_frappe_is_in_two_parts() -> None:
    path = SHARED / "recsys" / "frappe.validation.libfm.gz"
    if not path.exists():
        pytest.skip("no Frappe in the shared data; set OFFRAMP_DATA")
    rows, lines = rows_of(path)
    assert len(rows) == len(lines) == len(np.unique(rows.ids.numpy(), axis=0)) == 57_720


def test_the_network_comes_by_name_with_weights_and_preprocessing(tmp_path: Path) -> None:
    model = dlrm(seed=3)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    loaded = load_model(f"{ROOT / 'benchmarks' / 'recsys' / 'frappe.py'}:dlrm", tmp_path / "w.safetensors")
    assert loaded.preprocess == ClickPreprocess(SIZES)
    ids = torch.stack([torch.arange(4) % size for size in SIZES], dim=1)
    assert_close(loaded.model(ids), model.eval()(ids))


def test_factors_learn_what_weights_cannot() -> None:
    train, held, test = either(3000, 0), either(500, 1), either(1000, 2)
    scores = {}
    for name, model in {
        "dlrm": DLRM((6, 6), width=4, top=(16, 16), spread=0.3),
        "machine": FactorizationMachine((6, 6), 4),
        "logistic": FactorizationMachine((6, 6), 0),
    }.items():
        state = torch.random.get_rng_state()
        assert learn(model, train, held, COURSE, seed=0) > 0
        assert torch.equal(torch.random.get_rng_state(), state)
        scores[name] = figures(model, test)["auc"]
    assert min(scores["dlrm"], scores["machine"]) > 0.99
    assert 0.4 < scores["logistic"] < 0.6


def test_what_is_learned_is_the_seeds() -> None:
    train, held = either(600, 0), either(200, 1)
    found = []
    for seed in (0, 0, 1):
        model = DLRM((6, 6), width=4, top=(16,), dropout=0.3, spread=0.3)
        learn(model, train, held, replace(COURSE, patience=1), seed)
        found.append(logits_of(model, held))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_machine_is_weights_and_every_product_of_two_factors() -> None:
    machine, ids = FactorizationMachine((3, 4, 5), 2, seed=1), torch.tensor([[2, 0, 4], [0, 3, 1]])
    with torch.no_grad():
        for row, logit in zip(ids.tolist(), machine(ids), strict=True):
            vectors = [machine.embeddings.table(field)[i] for field, i in enumerate(row)]
            products = [float(vectors[i][1:] @ vectors[j][1:]) for i in range(3) for j in range(i)]
            assert float(logit) == pytest.approx(sum(float(v[0]) for v in vectors) + sum(products), abs=1e-7)


def test_figures_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    scores, clicks = generator.normal(size=500).round(1), generator.integers(0, 2, 500)
    assert auc(scores, clicks) == pytest.approx(roc_auc_score(clicks, scores))
    rows, model = either(400, 3), FactorizationMachine((6, 6), 2, seed=4)
    chances = torch.sigmoid(logits_of(model, rows)).numpy()
    found = figures(model, rows)
    assert found["log_loss"] == pytest.approx(log_loss(rows.clicks.numpy(), chances), rel=1e-5)
    assert found["accuracy"] == pytest.approx(((chances > 0.5) == (rows.clicks.numpy() > 0)).mean())
