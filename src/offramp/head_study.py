"""One Optuna study for each exit point: which head is tried next, what came of each, and what mattered.

Studies are kept in a journal, a file that only grows; a trial that is in it is never run again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offramp.head_trial import Judged, Trials
from offramp.heads import head_type
from offramp.heads.convolutions import Convolutions
from offramp.load.optional import require

PURPOSE = "a search for heads"

STARTUP = 8
"""Heads drawn at random before the sampler learns from what came of them (the recipe's own are among them)."""


@dataclass(frozen=True, eq=False)
class Study:
    """The search at one point.

    What is tried next follows from the seed and the finished trials alone, so a search that was interrupted finds what
    it would have found.

    Attributes:
        trials: trains and judges heads at the point.
        study: Optuna's.
    """

    trials: Trials
    study: Any

    @classmethod
    def open(cls, trials: Trials, journal: Path, identity: str) -> "Study":
        """The study of a point, as far as it has come.

        Args:
            trials: trains and judges heads at the point.
            journal: file of all studies.
            identity: names what trials depend on; those of anything else are not taken for these.

        Raises:
            InputError: if Optuna, or scikit-learn for the importance, is not installed.
        """
        optuna = require("optuna", PURPOSE)
        require("sklearn", PURPOSE)
        journal.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
        name = f"{trials.point.name} {identity}"
        with _quiet(optuna):
            try:
                study = optuna.load_study(study_name=name, storage=storage)
            except KeyError:
                study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        return cls(trials, study)

    @property
    def finished(self) -> int:
        """How many trials are done; those that were interrupted are not."""
        return len(self._finished())

    def next(self) -> None:
        """One more trial: first the recipe's own heads, then what the sampler draws from the space.

        A head that was judged before is not trained again. One that costs more than the space allows, or could not
        beat the best so far even if all samples left there, is not trained at all, and pruned.
        """
        optuna = require("optuna", PURPOSE)
        number, own = self.finished, self.trials.chosen.heads
        if number < len(own):
            self.study.add_trial(self._own(optuna, own[number]))
            return
        seed = int(hashlib.sha256(f"{self.trials.seed} {self.study.study_name} {number}".encode()).hexdigest()[:8], 16)
        sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed, constant_liar=False)
        self.study.sampler = sampler
        trial = self.study.ask()
        try:
            head = self.trials.search.space.draw(trial.suggest_categorical, self.trials.point.feature_shape)
            trial.set_user_attr("head", head)
            judged = self._known().get(head) or self._tried(head)
        except BaseException:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        if judged is None:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
        for key, value in _attributes(judged).items():
            trial.set_user_attr(key, value)
        self.study.tell(trial, judged.saving)

    def ranked(self) -> list[Judged]:
        """The heads that were judged, the largest saving first; of equal ones the one with fewer MACs."""
        return sorted(self._known().values(), key=lambda one: (-one.saving, one.macs))

    def importance(self) -> dict[str, float]:
        """How much of the variance of the saving each property of a head explains (Optuna's fANOVA); they add up to 1.

        Named heads and others are described alike: what they look at, the layers before the linear ones, how many
        hidden layers, the width of the first, and dropout. Empty where none of this tells what a head saves.
        """
        optuna = require("optuna", PURPOSE)
        known = list(self._known().values())
        described = [_described(one.head) for one in known]
        if len({one.saving for one in known}) < 2 or all(one == described[0] for one in described):
            return {}
        kinds = {
            key: optuna.distributions.CategoricalDistribution(sorted({one[key] for one in described}, key=str))
            for key in described[0]
        }
        with _quiet(optuna):
            made = optuna.create_study(direction="maximize")
        for properties, one in zip(described, known, strict=True):
            made.add_trial(optuna.trial.create_trial(params=properties, distributions=kinds, value=one.saving))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.trials.seed)
        try:
            found = optuna.importance.get_param_importances(made, evaluator=evaluator)
        except RuntimeError:  # zero variance in all trees of the forest
            return {}
        return {key: float(found[key]) for key in described[0]}

    def _tried(self, head: str) -> Judged | None:
        best = max((one.saving for one in self._known().values()), default=float("-inf"))
        if self.trials.macs(head) > self.trials.search.space.share or self.trials.at_most(head) <= best:
            return None
        return self.trials.judged(head)

    def _own(self, optuna: Any, head: str) -> Any:
        judged = self._known().get(head) or self.trials.judged(head)
        space, shape = self.trials.search.space, self.trials.point.feature_shape
        params: dict[str, str] = {}
        if head in space.names(shape):
            params = {"family": "named", "named": head}
        choices = {"family": space.families(shape), "named": space.names(shape)}
        return optuna.trial.create_trial(
            params=params,
            distributions={key: optuna.distributions.CategoricalDistribution(choices[key]) for key in params},
            value=judged.saving,
            user_attrs=_attributes(judged),
        )

    def _finished(self) -> list[Any]:
        optuna = require("optuna", PURPOSE)
        states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        found: list[Any] = self.study.get_trials(deepcopy=False, states=states)
        return found

    def _known(self) -> dict[str, Judged]:
        """The heads that were judged, by name."""
        return {
            trial.user_attrs["head"]: Judged(saving=trial.value, **trial.user_attrs)
            for trial in self._finished()
            if trial.value is not None
        }


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna says nothing of a new study; its verbosity is the user's again afterwards."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _attributes(judged: Judged) -> Mapping[str, Any]:
    return {key: value for key, value in asdict(judged).items() if key != "saving"}


def _described(head: str) -> dict[str, Any]:
    """The properties of a head by which it is compared with others."""
    made = head_type(head)
    stem = "none" if made.stem is None else type(made.stem).__name__.lower()
    if isinstance(made.stem, Convolutions):
        stem = f"{len(made.stem.layers)} convolutions"
    return {
        "looks at": made.reduction.name,
        "stem": stem,
        "hidden layers": len(made.hidden),
        "width": made.hidden[0] if made.hidden else 0,
        "dropout": made.dropout,
    }
