"""Several labels that a sample may have or not, each by itself."""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Bool, Float, Int, Num
from offramp.errors import DataError
from offramp.tasks.task import Means


@dataclass(frozen=True)
class Multilabel:
    """The model gives a logit for each label, and a sample has the labels whose logits are above 0.

    Losses are Hamming losses: the share of a sample's labels that are answered otherwise.
    """

    name: str = "multilabel"

    @property
    def means(self) -> Means:
        """Softmax and cross-entropy become a sigmoid and a cross-entropy for each label."""
        return Means(
            task=self.name,
            regime={"distil": "distil-each", "selfxit": "selfxit-each", "disjoint": "each"},
            gate={"max-prob": "each-label"},
            calibrator={"temperature": "each-temperature", "none": "none"},
        )

    def predict(self, output: Float[np.ndarray, "... labels"]) -> Bool[np.ndarray, "... labels"]:
        """Whether a sample has a label; at a logit of 0 it has not."""
        found: np.ndarray = output > 0
        return found

    def disagreement(
        self,
        outputs: Float[np.ndarray, "exits samples labels"],
        reference: Float[np.ndarray, "samples labels"],
    ) -> Float[np.ndarray, "exits samples"]:
        """The share of the labels on which an exit and the backbone differ."""
        return _hamming(outputs > 0, reference > 0)

    def error(
        self, outputs: Float[np.ndarray, "exits samples labels"], labels: Num[np.ndarray, "samples labels"]
    ) -> Float[np.ndarray, "exits samples"]:
        """The share of the labels that an exit has wrong."""
        return _hamming(outputs > 0, labels > 0)

    def checked(self, labels: Num[np.ndarray, "samples ..."], outputs: int) -> Int[np.ndarray, "samples labels"]:
        """Zeros and ones, a row for each sample; a column alone where there is one label.

        Raises:
            DataError: if there are others, or not one for each logit of the model.
        """
        found = labels[:, None] if labels.ndim == 1 and outputs == 1 else labels
        if found.ndim != 2 or found.shape[1] != outputs:
            raise DataError(
                f"expected a row of {outputs} labels, 0 or 1, for each sample, got labels of shape {labels.shape}; "
                "give one for each logit of the model"
            )
        odd = found[(found != 0) & (found != 1)]
        if odd.size:
            raise DataError(f"expected labels of 0 or 1 for the task {self.name}, got {odd[0]}")
        return found.astype(np.int64)

    def probabilities(self, output: Float[np.ndarray, "samples labels"]) -> None:
        """No label excludes another."""
        return

    def measures(
        self,
        output: Float[np.ndarray, "samples labels"],
        reference: Float[np.ndarray, "samples labels"],
        labels: Num[np.ndarray, "samples labels"] | None,
    ) -> dict[str, float]:
        """`exact_to_model`: share of samples with all labels as the backbone has them; and against labels `exact`,
        `micro_f1` (F1 of all labels of all samples taken together) and `macro_f1` (mean of the labels' own).

        A label that neither occurs nor is answered has an F1 of 0.
        """
        said = self.predict(output)
        same = float((said == self.predict(reference)).all(axis=1).mean())
        if labels is None:
            return {"exact_to_model": same}
        truth = labels > 0
        both, either = (said & truth).sum(axis=0), said.sum(axis=0) + truth.sum(axis=0)
        return {
            "exact_to_model": same,
            "exact": float((said == truth).all(axis=1).mean()),
            "micro_f1": float(2.0 * both.sum() / max(int(either.sum()), 1)),
            "macro_f1": float((2.0 * both / np.maximum(either, 1)).mean()),
        }

    def told(self, output: Float[np.ndarray, "samples labels"]) -> dict[str, np.ndarray]:
        """`labels`, 0 or 1, and the `probability` of each."""
        wide = output.astype(np.float64)
        return {
            "labels": self.predict(output).astype(np.int64),
            "probability": (0.5 * (1.0 + np.tanh(0.5 * wide))).astype(np.float32),
        }

    def settled(self, reference: Float[np.ndarray, "samples labels"]) -> "Multilabel":
        """Nothing is open."""
        return self


def _hamming(
    answers: Bool[np.ndarray, "exits samples labels"], other: Bool[np.ndarray, "samples labels"]
) -> Float[np.ndarray, "exits samples"]:
    share: np.ndarray = (answers != other).mean(axis=-1)
    return share
