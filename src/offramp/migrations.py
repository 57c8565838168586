"""Manifests of earlier versions as the present one has them."""

from collections.abc import Mapping
from typing import Any


def migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the next versions would have written them; what makes no sense is left for validation to refuse.

    Example:
        >>> migrated({"schema_version": 1, "exits": [{"temperature": 1.5}]})["exits"]
        [{'calibration': {'kind': 'temperature', 'temperature': 1.5}}]
    """
    found = dict(values)
    for version, step in ((1, _kinds), (2, _untrained)):
        if found.get("schema_version") == version:
            found = step(found) | {"schema_version": version + 1}
    return found


def _kinds(values: dict[str, Any]) -> dict[str, Any]:
    """1 to 2: calibration and gate are of some kind, where there was a temperature or null, and a name."""
    exits, gate = values.get("exits"), values.get("gate")
    changed = {"exits": [_calibration(one) for one in exits]} if isinstance(exits, list) else {}
    return values | changed | ({"gate": {"kind": gate}} if isinstance(gate, str) else {})


def _untrained(values: dict[str, Any]) -> dict[str, Any]:
    """2 to 3: whether the backbone was trained, which it never was."""
    return values | {"trained": None}


def _calibration(entry: Any) -> Any:
    if not isinstance(entry, dict) or "temperature" not in entry:
        return entry
    rest = {name: value for name, value in entry.items() if name != "temperature"}
    temperature = entry["temperature"]
    kind = {"kind": "none"} if temperature is None else {"kind": "temperature", "temperature": temperature}
    return rest | {"calibration": kind}
