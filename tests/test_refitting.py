"""Refit: heads that go on from where they are, and certificates on new inputs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.audit_files import Store
from offramp.bundle import Bundle
from offramp.errors import BundleError, DataError, InputError
from offramp.load.sources import open_source
from offramp.refitting import WORK, refit
from tests.builds import bundle, images, make
from tests.cli.world import offramp, refused
from tests.serve.process import NETS
from tests.toys import CNN


def moved(samples: int = 600, seed: int = 7) -> torch.Tensor:
    """Inputs as they come after a drift."""
    return 0.6 * images(samples, seed) + 0.3


def test_heads_learn_further_and_what_is_proved_is_about_the_new_inputs(tmp_path: Path) -> None:
    old, source = bundle(), open_source(moved(), None)
    weights = {name: tensor.clone() for name, tensor in old.heads.items()}
    found = refit(old, source, out=tmp_path / "new")
    again = Bundle.load(tmp_path / "new").attach(CNN.model())
    assert not (tmp_path / "new" / WORK).exists()
    assert all(torch.equal(old.heads[name], weights[name]) for name in weights), "the old bundle is as it was"
    live = old.multi_exit
    assert live is not None
    assert all(torch.equal(live.heads.state_dict()[name], weights[name]) for name in weights)
    assert any(not torch.equal(again.heads[name], weights[name]) for name in weights)
    assert again.manifest.data.fingerprint == source.fingerprint()
    assert again.manifest.goal == old.manifest.goal
    assert [one.point for one in again.manifest.exits] == [one.point for one in old.manifest.exits]
    assert again.manifest.provenance["refit"] == {"of": old.manifest.data.model_dump(), "trained": True}
    report = source.inputs(again.splits["report"])
    for point in found.bundle.points:
        assert point.bound is not None
        assert point.bound.n == len(again.splits["certify"])
    told = {point.name: point for point in found.after}
    for name in ("full", "balanced"):
        ran = again.use(name)(report)
        own = again.use("full")(report).output.argmax(1)
        point = told[again.point(name).name]
        assert float((ran.output.argmax(1) != own).float().mean()) == pytest.approx(point.loss)
        assert np.bincount(ran.exit_index, minlength=7) / len(report) == pytest.approx(point.exit_share)
    before = {point.name: point for point in found.before}
    stale = old.use("balanced")(report)
    own = old.use("full")(report).output.argmax(1)
    expected = float((stale.output.argmax(1) != own).float().mean())
    assert before[old.point("balanced").name].loss == pytest.approx(expected)


def test_heads_may_stay_and_an_interrupted_refit_goes_on(tmp_path: Path) -> None:
    source = open_source(moved(), None)
    stages: list[str] = []

    def stopped(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "training heads" and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refit(bundle(), source, out=tmp_path / "new", progress=stopped)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [WORK]
    resumed = refit(bundle(), source, out=tmp_path / "new")
    whole = refit(bundle(), source, out=tmp_path / "whole")
    assert all(torch.equal(resumed.bundle.heads[name], tensor) for name, tensor in whole.bundle.heads.items())
    kept = refit(bundle(), source, out=tmp_path / "kept", train=False)
    assert all(torch.equal(kept.bundle.heads[name], tensor) for name, tensor in bundle().heads.items())
    assert kept.bundle.manifest.provenance["refit"]["trained"] is False


def test_what_cannot_be_refitted_is_refused(tmp_path: Path) -> None:
    source = open_source(moved(), None)
    labels = np.zeros(320, np.int64)
    labelled = make(tmp_path / "labelled", data=(images(), torch.from_numpy(labels)), labels=True)
    with pytest.raises(InputError, match="labels are needed"):
        refit(labelled, source, out=tmp_path / "new")
    with pytest.raises(BundleError, match="something in it"):
        refit(bundle(), source, out=tmp_path / "labelled")
    with pytest.raises(DataError, match="expected inputs"):
        refit(bundle(), open_source(torch.zeros(100, 1, 2, 2), None), out=tmp_path / "new")
    with pytest.raises(DataError, match="add data"):
        refit(bundle(), open_source(moved(3), None), out=tmp_path / "few")


def test_the_command_reads_what_a_server_kept(tmp_path: Path) -> None:
    bundle().save(tmp_path / "toy")
    (tmp_path / "nets.py").write_text(NETS)
    store = Store(tmp_path / "kept")
    store.prepare()
    for row in range(0, 600, 50):
        store.write([{"input0": one.numpy()} for one in moved()[row : row + 50]])
    common = [str(tmp_path / "toy"), f"{tmp_path / 'nets.py'}:net", "--out", str(tmp_path / "new")]
    done = offramp("refit", *common, "--kept", tmp_path / "kept", "--last", "400")
    assert done.code == 0, done.err
    assert "of 400 new inputs" in done.out
    assert Bundle.load(tmp_path / "new").manifest.data.samples == 400
    refused("refit", *common, saying="give one of them")
    refused("refit", *common, "--kept", tmp_path / "kept", "--data", "x.npz", saying="give one of them")
    refused("refit", *common, "--kept", tmp_path / "nothing", saying="serve with --keep")
