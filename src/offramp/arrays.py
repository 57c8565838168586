"""The types of arrays, as jaxtyping has them; where it is not installed, as beside an exported model, plain arrays."""

from typing import Any

try:
    from jaxtyping import Bool, Float, Int, Num
except ModuleNotFoundError:

    class _Plain:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float = Int = Num = _Plain  # type: ignore[assignment]

__all__ = ["Bool", "Float", "Int", "Num"]
