"""A recipe with a few of its choices changed, as a table of a TOML file says it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_serializer, model_validator

from offramp import train
from offramp.errors import InputError, UnknownNameError
from offramp.recipes import Recipe, recipe
from offramp.train.fit import Schedule


class Variant(BaseModel):
    """Fields of `recipes.Recipe` that are other than in a recipe; what is left out is as there.

    Attributes:
        recipe: a name in `recipes.NAMES`.
        heads: see `recipes.Recipe`, as for all others.
        points: at most so many.
        regime: by name.
        gate: by name.
        calibrator: by name.
        searcher: by name.
        labels: whether labels are read.
        schedule: fields of `train.fit.Schedule`; heads that learn with gates have no such schedule.

    Example:
        >>> Variant(recipe="selfxit", searcher="tolerance-equal").made().searcher
        'tolerance-equal'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    heads: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    points: Annotated[int, Field(ge=1)] = 1
    regime: str = ""
    gate: str = ""
    calibrator: str = ""
    searcher: str = ""
    labels: bool = False
    schedule: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            _among("field of a variant", given, cls.model_fields)
            if isinstance(given.get("schedule"), Mapping):
                _among("field of a schedule", given["schedule"], asdict(Schedule()))
        return given

    @model_validator(mode="after")
    def _possible(self) -> "Variant":
        made = self.made()
        if train.NAMES[made.regime].needs_labels and not made.labels:
            raise InputError(f"expected labels = true with the regime {made.regime!r}; add it, or take another regime")
        return self

    @model_serializer
    def _given(self) -> dict[str, Any]:
        return {"recipe": self.recipe, **self.differs}

    @property
    def differs(self) -> dict[str, Any]:
        """The fields that were given."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set - {"recipe"}
        }

    def made(self) -> Recipe:
        """The recipe with the fields in their places.

        Raises:
            UnknownNameError: listing the known names.
            InputError: if the fields do not go together.
        """
        base, given = recipe(self.recipe), self.differs
        if "schedule" in given:
            whole = {**asdict(base.schedule), **given["schedule"]}
            given["schedule"] = TypeAdapter(Schedule).validate_python(whole)
        return replace(base, **given)


def _among(kind: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise UnknownNameError.among(kind, name, known)
