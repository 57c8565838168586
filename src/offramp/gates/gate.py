"""What a gate is: it turns the output of an exit into a score, and says how scores decide."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float


@runtime_checkable
class Gate(Protocol):
    """Scores outputs. The same object serves replay and runtime, so the two cannot disagree.

    A gate remembers nothing and is part of an exported stage; what earlier exits have to do with a decision is said by
    its rule (`decide.rule`), which needs no torch.
    """

    @property
    def rule(self) -> str:
        """Name of the rule by which the scores decide; with `"direct"` a higher score is safer to stop at."""
        ...

    def score(self, output: Float[torch.Tensor, "batch classes"], exit_index: int) -> Float[torch.Tensor, " batch"]:
        """The score of each sample.

        Args:
            output: calibrated logits.
            exit_index: which exit said them; the number behind all others is the backbone itself.
        """
        ...

    def macs(self, classes: int) -> float:
        """Multiply-accumulates of one score; 0 where it is a look at the logits."""
        ...
