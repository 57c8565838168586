"""What every part of a manifest is."""

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """A part of the manifest: immutable, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
