"""Networks as heads, as the manifest keeps them."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag, model_validator

from offramp.entry import Entry


class NetworkEntry(Entry):
    """A copy of the backbone, from the exit point on, as a head there, without the blocks between these places."""

    left_out: tuple[tuple[str, str], ...]


class SmallEntry(Entry):
    """A small model of the user's as a head at the input; its weights are among those of the heads.

    `spec` and `weights` say how it was loaded; `fingerprint` decides. Where `scale` and `shift` are not empty, it sees
    the inputs times the one plus the other, per channel.
    """

    spec: str | None
    weights: str | None
    type: str
    fingerprint: str
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _scales_what_it_shifts(self) -> "SmallEntry":
        if len(self.scale) != len(self.shift):
            raise ValueError(f"{len(self.scale)} scales and {len(self.shift)} shifts are not those of one input")
        return self


def _sort_of(network: Any) -> str:
    left_out = network.get("left_out") if isinstance(network, dict) else getattr(network, "left_out", None)
    return "small" if left_out is None else "student"


AnyNetwork = Annotated[
    Annotated[NetworkEntry, Tag("student")] | Annotated[SmallEntry, Tag("small")], Discriminator(_sort_of)
]
