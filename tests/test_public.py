import subprocess
import sys

import offramp

HEAVY = {
    "PIL",
    "accelerate",
    "matplotlib",
    "nncf",
    "onnxruntime",
    "openvino",
    "optuna",
    "starlette",
    "timm",
    "torchvision",
    "transformers",
    "typer",
}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys; {code}; print(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_all_is_sorted_small_and_real() -> None:
    assert offramp.__all__ == sorted(offramp.__all__)
    assert len(offramp.__all__) <= 30
    assert all(hasattr(offramp, name) for name in offramp.__all__)
    assert set(offramp.__all__) <= set(dir(offramp))


def test_the_public_surface_imports_nothing_heavy() -> None:
    assert not loaded_by("from offramp import *") & HEAVY


def test_the_decision_column_needs_no_torch() -> None:
    modules = "offramp.decide.certify, offramp.decide.replay, offramp.search, offramp.calibrate, offramp.types"
    assert "torch" not in loaded_by(f"import {modules}")


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(offramp, "nothing_of_the_sort")


def test_no_public_name_is_hidden_by_a_module() -> None:
    names = ", ".join(f"offramp.{module}" for module in ("evaluation", "pipeline", "bundle", "load.models"))
    real = "all(type(getattr(offramp, name)) is not type(offramp) for name in offramp.__all__)"
    script = f"import {names}; import offramp; assert {real}"
    subprocess.run([sys.executable, "-c", script], check=True)
