"""What a build is asked for."""

from dataclasses import dataclass, field, replace

from offramp import tasks
from offramp.decide import guarantees
from offramp.errors import InputError, UnknownNameError
from offramp.recipe import HeadSearch, Recipe
from offramp.recipes import recipe
from offramp.split import Shares
from offramp.types import Goal


@dataclass(frozen=True)
class Options:
    """What a build is asked for.

    Attributes:
        max_drop: largest excess risk wanted, a share (0.01 = one percent).
        delta: probability that any certificate of the bundle fails; `crc` takes none.
        shares: the parts train / choose / certify / report.
        recipe: a name in `recipes.NAMES`, or a recipe.
        points: where to put heads: names, indices, `every:K` or `share:...` (see `model.selection.select`), or
            `proposed` or `proposed:K` for what the survey proposes; default: evenly spread over the cost.
        labels: whether labels may be read: heads learn from them and the risk is error instead of disagreement.
        seed: of the split, the heads and the augmentation.
        batch_size: samples per backbone pass.
        keep: operating points kept at most.
        timed: batch sizes at which the seconds of every segment and head are measured; none: not measured.
        guarantee: what certificates promise, a name in `decide.guarantees.NAMES`.
        search_heads: heads tried at each point, in the recipe's space or the default one; 0: as the recipe says.
        task: what the model is for, as `tasks.task` reads it; None: what its preprocessing says, or classification.
    """

    max_drop: float = 0.01
    delta: float = 0.1
    shares: Shares = field(default_factory=Shares)
    recipe: Recipe | str | None = None
    points: str | None = None
    labels: bool = False
    seed: int = 0
    batch_size: int = 128
    keep: int = 16
    timed: tuple[int, ...] = (1, 32)
    guarantee: str = guarantees.DEFAULT
    search_heads: int = 0
    task: str | None = None

    def __post_init__(self) -> None:
        Goal(self.max_drop)
        if not 0 < self.delta < 1:
            raise InputError(f"expected delta as a probability in (0, 1), got {self.delta}; write 10 % as 0.1")
        if self.guarantee not in guarantees.NAMES:
            raise UnknownNameError.among("guarantee", self.guarantee, guarantees.NAMES)
        if not 0 <= self.seed < 2**32:
            raise InputError(f"expected a seed in [0, 2**32), got {self.seed}")
        if any(size < 1 for size in self.timed):
            raise InputError(f"expected batch sizes of at least 1 to measure time at, got {self.timed}")
        if self.batch_size < 1:
            raise InputError(f"expected a batch size of at least 1, got {self.batch_size}")
        if self.task is not None:
            tasks.task(self.task)
        if self.search_heads < 0:
            raise InputError(f"expected heads to try at each point, 0 for no search, got {self.search_heads}")

    def chosen(self) -> Recipe:
        """The recipe given, or the default one with or without labels, with the search wished for, and for the task."""
        found = self.recipe
        if not isinstance(found, Recipe):
            found = recipe(found or ("labels" if self.labels else "offramp"))
        if self.search_heads:
            found = replace(found, head_search=replace(found.head_search or HeadSearch(), trials=self.search_heads))
        return found if self.task is None else found.under(tasks.task(self.task))
