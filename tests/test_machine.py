import pytest
import torch

from offramp.machine import machine, threads_set


def test_threads_are_set_within_and_back_afterwards_whatever_happens() -> None:
    before = torch.get_num_threads()
    with threads_set(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="mine"), threads_set(before + 2):
        raise RuntimeError("mine")
    assert torch.get_num_threads() == before


def test_the_machine_is_said_with_the_versions_of_what_was_asked_for() -> None:
    found = machine("numpy", "no-such-package")
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert found["no-such-package"] is None
    assert found["threads"] == torch.get_num_threads()
    assert found["processor"]
    assert "onnxruntime" not in found
