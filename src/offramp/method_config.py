"""What a comparison of methods is asked for, as a TOML file."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from offramp.errors import InputError, UnknownNameError
from offramp.recipe import Recipe
from offramp.recipes import NAMES, recipe
from offramp.split import Shares
from offramp.variants import Variant

KEYS = (
    "backbone",
    "weights",
    "data",
    "extra_data",
    "report_data",
    "recipes",
    "variants",
    "seeds",
    "split",
    "small",
    "small_weights",
)


class MethodConfig(BaseModel):
    """Recipes on a backbone and data, under one protocol.

    Attributes:
        backbone: what `load_model` takes.
        weights: file for it.
        data: divided into the parts of `split`; labelled.
        extra_data: unlabelled inputs, used to train heads of recipes without labels and for nothing else.
        report_data: labelled data on which all is reported; without it, the report part of `data`.
        recipes: names in `recipes.NAMES`, or of variants.
        variants: recipes with some of their choices changed, by names that no recipe has.
        seeds: of the split, the heads and the augmentation.
        split: shares of the parts train / choose / certify / report.
        small: a small model for recipes that need one, as `load_model` takes it.
        small_weights: file for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    weights: str | None = None
    data: str
    extra_data: tuple[str, ...] = ()
    report_data: str | None = None
    recipes: Annotated[tuple[str, ...], Field(min_length=1)]
    variants: dict[str, Variant] = {}
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = (0, 1, 2)
    split: Shares = Field(default_factory=Shares)
    small: str | None = None
    small_weights: str | None = None

    @field_validator("recipes", "seeds")
    @classmethod
    def _once(cls, found: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(found))

    @field_validator("variants")
    @classmethod
    def _new(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        for name in variants:
            if name in NAMES or not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
                raise InputError(
                    f"expected a name for a variant that is no recipe's, of letters, digits, . + - and _, "
                    f"got {name!r}; choose another"
                )
        return variants

    @model_validator(mode="after")
    def _known(self) -> "MethodConfig":
        for name in self.recipes:
            self.chosen(name)
        return self

    def chosen(self, name: str) -> Recipe:
        """The recipe or variant of that name.

        Raises:
            UnknownNameError: listing the known ones.
        """
        if name not in {**NAMES, **self.variants}:
            raise UnknownNameError.among("recipe", name, [*NAMES, *self.variants])
        return self.variants[name].made() if name in self.variants else recipe(name)

    @model_validator(mode="after")
    def _has_a_small_model(self) -> "MethodConfig":
        needing = [name for name in self.recipes if self.chosen(name).needs_small]
        if needing and self.small is None:
            raise ValueError(f"the recipe {needing[0]} needs a small model; give small, and small_weights")
        return self

    @field_validator("split", mode="before")
    @classmethod
    def _shares(cls, found: Any) -> Any:
        if isinstance(found, str):
            return Shares.parse(found)
        if isinstance(found, Mapping):
            return Shares(**found)
        if isinstance(found, list | tuple):
            return Shares.parse("/".join(str(share) for share in found))
        return found

    @classmethod
    def read(cls, path: Path) -> "MethodConfig":
        """The config in a file; paths in it are relative to where the command runs.

        Raises:
            InputError: if it cannot be read, or says something that is not known.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"expected a TOML file with {', '.join(KEYS)}, could not read {path}: {error}") from error
        except (ValidationError, TypeError) as error:
            raise InputError(f"expected a config with {', '.join(KEYS)}, got in {path}: {_first(error)}") from error


def _first(error: Exception) -> str:
    """The first complaint, on one line."""
    if isinstance(error, ValidationError):
        found = error.errors()[0]
        return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
    return str(error)
