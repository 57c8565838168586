from pathlib import Path

import numpy as np
import pytest
import torch

from offramp.load import fingerprint


def test_parts_keep_their_borders() -> None:
    assert fingerprint.of_parts(["ab", "c"]) != fingerprint.of_parts(["a", "bc"])


def test_type_and_shape_count() -> None:
    zeros = np.zeros(4, np.float32)
    assert fingerprint.of_array(zeros) != fingerprint.of_array(zeros.astype(np.int32))
    assert fingerprint.of_array(zeros) != fingerprint.of_array(zeros.reshape(2, 2))


def test_names_count() -> None:
    x = torch.ones(2)
    assert fingerprint.of_inputs({"a": x}) != fingerprint.of_inputs({"b": x})
    assert fingerprint.of_inputs(x.bfloat16())


def test_large_data_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_WHOLE", 1024)
    content = np.arange(4096, dtype=np.uint8)
    path = tmp_path / "f"
    seen = []
    for end in (1, 2):
        content[-1] = end
        path.write_bytes(content.tobytes())
        seen.append(fingerprint.of_file(path))
    assert seen[0] != seen[1]
    changed = content.copy()
    changed[0] += 1
    assert fingerprint.of_array(content) != fingerprint.of_array(changed)
