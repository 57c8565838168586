"""A model and its heads as one module, for training: hooks on the model while a forward lasts."""

import copy
from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import nn

from offramp.errors import InputError
from offramp.heads.earlier import Earlier
from offramp.heads.head import Head
from offramp.inputs import Inputs, call, mask_of
from offramp.model.multi_exit import MultiExit
from offramp.model.taps import tapped
from offramp.reading import LogitsOf


class _FarEnough(BaseException):
    """Ends a forward behind the deepest exit that is wanted; caught in the same call, and by no model's own except."""


class Exiting(nn.Module):
    """A copy of a model and of its heads.

    Attributes:
        model: the copy of the user's model.
        heads: the copies of the heads, by depth.
        points: the exit point of each head.
        together: whether heads may hear each other; all of them are asked then, which a step of training does not do.
    """

    def __init__(self, multi_exit: MultiExit, logits_of: LogitsOf, together: bool = False) -> None:
        super().__init__()
        self.together = multi_exit.together
        if self.together and not together:
            raise InputError(
                "expected heads that answer alone where the backbone learns, got some that hear each other; use sdn"
            )
        self.model = copy.deepcopy(multi_exit.backbone.model)
        self.heads = copy.deepcopy(multi_exit.heads)
        self.points = tuple(exit_.point for exit_ in multi_exit.exits)
        self.logits_of = logits_of

    @property
    def last(self) -> int:
        """Number of the backbone's own output."""
        return len(self.points)

    def forward(self, inputs: Inputs, wanted: Collection[int]) -> dict[int, Float[torch.Tensor, "batch classes"]]:
        """The float32 logits of the exits in `wanted`; the model stops behind the deepest of them.

        Where heads hear each other, those that are not wanted are taken as off.
        """
        said: dict[int, torch.Tensor] = {}
        earlier: Earlier = ()
        deepest = max(wanted)
        mask = mask_of(inputs)

        def at(name: str, feature: torch.Tensor) -> None:
            nonlocal earlier
            if torch.is_grad_enabled():
                feature = feature.clone()  # the head's gradient may need it, and the model may go on in place
            for index, point in enumerate(self.points):
                if point == name and index in wanted:
                    said[index], earlier = self._answer(index, feature, mask, earlier)
            if deepest in said:
                raise _FarEnough

        names = dict.fromkeys(self.points[index] for index in wanted if index < self.last)
        try:
            with tapped(self.model, list(names), keep=at):
                said[self.last] = self.logits_of(call(self.model, inputs)).float()
        except _FarEnough:
            pass
        return said

    def _answer(
        self, index: int, feature: torch.Tensor, mask: torch.Tensor | None, earlier: Earlier
    ) -> tuple[torch.Tensor, Earlier]:
        head = self.heads[index]
        if not self.together:
            return head(feature, mask).float(), earlier
        assert isinstance(head, Head)
        logits, earlier = head.answer(index, head.reduce(feature, mask), earlier)
        return logits.float(), earlier
