"""What a trunk regime ends with."""

from dataclasses import dataclass, replace

from torch import nn

from offramp.inputs import Inputs
from offramp.model.backbone import Backbone
from offramp.model.multi_exit import MultiExit
from offramp.model.points import at_size
from offramp.reading import LogitsOf
from offramp.train.spent import Spent
from offramp.types import Exit


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained copy of a model, and its heads.

    Attributes:
        backbone: as the user's model was analysed; still with the user's own, untrained model.
        model: the trained copy, in eval mode, with the gradient flags of the user's model.
        exits: the exits by depth.
        heads: their trained heads, in eval mode.
        spent: what each phase has cost.
        held: the held-out mean loss of the weights kept, phase by phase; infinite where nothing was held.
    """

    backbone: Backbone
    model: nn.Module
    exits: tuple[Exit, ...]
    heads: nn.ModuleList
    spent: tuple[Spent, ...]
    held: tuple[float, ...]

    @property
    def total(self) -> Spent:
        """What all phases have cost."""
        return sum(self.spent, Spent())

    @property
    def example(self) -> Inputs:
        """The inputs with which the model was analysed."""
        return self.backbone.example

    def multi_exit(self, logits_of: LogitsOf) -> MultiExit:
        """The trained copy with its heads, analysed anew at the points in use.

        Raises:
            CaptureError: if the copy cannot be left where the user's model can.
        """
        names = list(dict.fromkeys(exit_.point for exit_ in self.exits))
        analysed = at_size(replace(self.backbone, model=self.model), self.example, logits_of, names)
        return MultiExit(analysed, self.exits, self.heads, original=self.backbone.model)
