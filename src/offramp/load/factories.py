"""`FILE.py:FACTORY`: a function of the user's, called without arguments."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from offramp.errors import InputError, UnknownNameError


def is_factory(spec: str) -> bool:
    """Whether `spec` has the form `FILE.py:FACTORY`."""
    return spec.rpartition(":")[0].endswith(".py")


def call_factory(spec: str) -> Any:
    """What `FACTORY()` of `FILE.py` returns.

    The file is imported as `python FILE.py` would import it: its folder is on the path while it runs.

    Raises:
        InputError: if the file or the function is missing, or either raises.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"expected a Python file at {file!r}, got no such file; check the path in {spec!r}")
    with _on_path(path.resolve().parent):
        module = _module(path, spec)
        factory = getattr(module, name, None)
        if not callable(factory):
            functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise UnknownNameError.among(f"function of {file}", name, functions or ["(it has none)"])
        return _guarded(factory, spec)


def _module(path: Path, spec: str) -> ModuleType:
    """The file as a module, known to `sys.modules` because dataclasses and pickle look it up there."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    found = importlib.util.spec_from_file_location(f"offramp_factory_{path.stem}_{digest}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    loader = found.loader
    try:
        _guarded(lambda: loader.exec_module(module), spec)
    except InputError:
        del sys.modules[found.name]
        raise
    return module


def _guarded(function: Any, spec: str) -> Any:
    """`function()`, with whatever the user's code raises turned into one line."""
    try:
        return function()
    except Exception as error:
        raise InputError(f"expected {spec!r} to run, but it raised {type(error).__name__}: {error}") from error


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
