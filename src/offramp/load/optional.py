"""Packages that are imported only when used."""

import importlib
from types import ModuleType

from offramp.errors import InputError

_INSTALL = {
    "timm": "'offramp[hub]'",
    "transformers": "'offramp[hub]'",
    "tokenizers": "'offramp[text]'",
    "torchvision": "torchvision",
    "pyarrow": "pyarrow",
    "onnx": "'offramp[onnx]'",
    "onnxscript": "'offramp[onnx]'",
    "onnxruntime": "'offramp[onnx]'",
    "nncf": "'offramp[openvino]'",
    "openvino": "'offramp[openvino]'",
    "optuna": "'offramp[search]'",
    "jinja2": "'offramp[report]'",
    "ray": "'offramp[ray]'",
    "sklearn": "'offramp[search]'",
    "prometheus_client": "'offramp[serve]'",
    "starlette": "'offramp[serve]'",
    "uvicorn": "'offramp[serve]'",
    "websockets": "'offramp[serve]'",
}


def require(module: str, purpose: str) -> ModuleType:
    """The optional package `module`, imported.

    Args:
        module: dotted name, such as `pyarrow.parquet`.
        purpose: what it is wanted for, as the error says it.

    Raises:
        InputError: if it is missing or does not import, with the command that installs it.
    """
    package = module.split(".", maxsplit=1)[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package:
            raise _broken(package, purpose, error) from error
        raise InputError(
            f"expected the package {package} for {purpose}, got none installed; run pip install {_INSTALL[package]}"
        ) from error
    except Exception as error:  # a torchvision built for another torch raises RuntimeError or OSError on import
        raise _broken(package, purpose, error) from error


def _broken(package: str, purpose: str, error: Exception) -> InputError:
    together = ", ".join(dict.fromkeys(["torch", "torchvision", package]))
    return InputError(
        f"expected a working package {package} for {purpose}, but importing it failed: {_first_line(error)}; "
        f"install builds of {together} that belong together"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
