"""A recipe with a few of its choices changed, as a table of a TOML file says it."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_serializer, model_validator

from offramp import train
from offramp.errors import InputError, UnknownNameError
from offramp.recipe import Recipe
from offramp.recipes import recipe
from offramp.train.fit import Schedule

Settings = TypeVar("Settings", Schedule, train.Bilevel)


class Variant(BaseModel):
    """Fields of `recipe.Recipe` that are other than in a recipe; what is left out is as there.

    Attributes:
        recipe: a name in `recipes.NAMES`.
        heads: see `recipe.Recipe`, as for all others.
        points: at most so many.
        regime: by name.
        gate: by name.
        calibrator: by name.
        searcher: by name.
        labels: whether labels are read.
        schedule: fields of `train.fit.Schedule`; of no use where heads learn with gates.
        bilevel: fields of `train.Bilevel`, where they do.

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
    bilevel: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            _among("field of a variant", given, cls.model_fields)
            for name, known in (("schedule", Schedule()), ("bilevel", train.Bilevel())):
                if isinstance(given.get(name), Mapping):
                    _among(f"field of {name}", given[name], asdict(known))
        return given

    @model_validator(mode="after")
    def _possible(self) -> "Variant":
        made = self.made()
        if made.needs_labels and not made.labels:
            raise InputError(f"expected labels = true with the regime {made.regime!r}; add it, or take another regime")
        if recipe(self.recipe).needs_small and not made.needs_small:
            raise InputError(
                f"expected no points in a variant of {self.recipe!r}, in which the small model is the only exit; leave "
                "them out"
            )
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
            given["schedule"] = _with(base.schedule, given["schedule"])
        if "bilevel" in given:
            named = train.NAMES.get(given.get("regime", base.regime))
            given["bilevel"] = _with(named if isinstance(named, train.Bilevel) else train.Bilevel(), given["bilevel"])
        return replace(base, **given)


def _with(start: Settings, given: Mapping[str, Any]) -> Settings:
    """The same settings but for what is given, with the types checked."""
    found: Settings = TypeAdapter(type(start)).validate_python({**asdict(start), **given})
    return found


def _among(kind: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise UnknownNameError.among(kind, name, known)
