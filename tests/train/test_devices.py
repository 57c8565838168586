import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from offramp.errors import InputError
from offramp.testing.models import CNN, VIT, Toy, attached
from offramp.testing.trunk import noise, tensors, trunk
from offramp.train import trunk_regime
from offramp.train.devices import Alone, Devices, several
from offramp.train.optimisers import optimiser
from offramp.train.phase import Length, Phase, TrunkRegime

STEPS = 6


def regime(exits: int) -> TrunkRegime:
    """Alternating leaves heads out in some steps; branch-wise freezes other parts in each phase."""
    like = Phase(length=Length(steps=STEPS), optimiser=optimiser("SGD", lr=0.1, momentum=0.9))
    first, second = trunk_regime("alternating", exits, like), trunk_regime("branch-wise", exits, like)
    return TrunkRegime(first.phases + second.phases[:2])


def trained(toy: Toy, devices: Devices) -> dict[str, torch.Tensor]:
    multi_exit, source = attached(toy.model(), toy.inputs(2)), noise(toy)
    return tensors(trunk(multi_exit, regime(len(multi_exit.exits)), devices=devices).run(source, source.labels()))


def test_several_devices_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(
        InputError, match=r"expected accelerate for several devices, got none; run pip install 'offramp\[train\]'"
    ):
        several()


def test_batches_have_to_be_shared_evenly() -> None:
    multi_exit, source = attached(VIT.model(), VIT.inputs(2)), noise(VIT)
    with pytest.raises(InputError, match="expected batches that 3 processes can share evenly, got 8 samples"):
        trunk(multi_exit, regime(len(multi_exit.exits)), devices=Alone(0, 3)).run(source, source.labels())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Each takes half of every batch. Both end with the same bits, statistics of batch norms included, and with the
    weights that one process finds, where a network has no batch norm and no dropout."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.test_devices", str(tmp_path / str(rank))],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / str(rank), weights_only=True) for rank in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first["vit"], trained(VIT, Alone()), rtol=1e-3, atol=1e-4)


if __name__ == "__main__":
    found = several(cpu=True)
    assert (found.ranks, found.rank) == (2, int(os.environ["RANK"]))
    torch.save({toy.name: trained(toy, found) for toy in (VIT, CNN)}, sys.argv[1])
