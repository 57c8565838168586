"""The tests every guarantee has to pass, among them its promise in simulated worlds.

A guarantee's test file is `class TestMine(GuaranteeSuite)` with one fixture `guarantee`.
"""

from dataclasses import dataclass

import numpy as np

from offramp.arrays import Float
from offramp.decide.guarantees.guarantee import Guarantee, Proof
from offramp.scientific import scipy

PATH = np.linspace(0.9, 0.1, 9)
"""Thresholds of the points of a world, from the safest to the cheapest."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Losses of a path of points on a split, and the true risks, which only a simulation knows."""

    losses: Float[np.ndarray, "points samples"]
    risk: Float[np.ndarray, " points"]


def world(seed: int, kind: str = "nested", samples: int = 400) -> World:
    """Scores are uniform, and a sample that leaves with score s loses 1 with probability (1 - s)^2 / 3.

    Args:
        seed: same seed, same world.
        kind: `"nested"`: who leaves keeps its loss at all cheaper points; `"redrawn"`: it loses anew at each point, so
            that losses also fall along the path; `"reversed"`: the path in the wrong order; `"fractions"`: losses
            between 0 and 1; `"signed"`: as many samples gain 1 as lose, of those with a score below a half;
            `"sorted"`: the samples by their losses, the smallest first.
        samples: how many.

    Example:
        >>> world(0).risk.round(4)
        array([0.0001, 0.0009, 0.003 , 0.0071, 0.0139, 0.024 , 0.0381, 0.0569,
               0.081 ])
    """
    generator = np.random.default_rng(seed)
    score = generator.random(samples)
    shape = (PATH.size, samples) if kind == "redrawn" else (1, samples)
    losses = (score >= PATH[:, None]) * (generator.random(shape) < (1.0 - score) ** 2 / 3)
    losses, risk = losses.astype(np.float64), (1.0 - PATH) ** 3 / 9
    if kind == "fractions":
        losses, risk = losses * np.clip(2.0 * generator.random(samples), 0.0, 1.0), 0.75 * risk
    elif kind == "signed":
        gains = (score >= PATH[:, None]) & (score < 0.5) & (generator.random(samples) < (1.0 - score) ** 2 / 3)
        losses, risk = losses - gains, risk - np.maximum(0.0, risk - 0.5**3 / 9)
    elif kind == "sorted":
        losses = losses[:, np.argsort(losses[-1], kind="stable")]
    elif kind == "reversed":
        losses, risk = losses[::-1].copy(), risk[::-1].copy()
    return World(losses, risk)


def cheapest(proof: Proof, level: float) -> int | None:
    """The last point that is proved at `level`; None where there is none.

    Example:
        >>> cheapest(Proof((0.01, 0.02, None), "exact", 0.1), 0.02)
        1
    """
    passed = [i for i, epsilon in enumerate(proof.epsilon) if epsilon is not None and epsilon <= level * (1 + 1e-9)]
    return max(passed, default=None)


class GuaranteeSuite:
    """What holds for every guarantee; subclass it and give the fixture `guarantee`."""

    level = 0.02
    delta = 0.1
    worlds = 200

    def kinds(self, guarantee: Guarantee) -> list[str]:
        """The worlds in which the promise is kept."""
        return ["nested", "redrawn", "reversed", "fractions", "sorted", *(["signed"] if guarantee.signed else [])]

    def test_every_point_has_a_level_or_none(self, guarantee: Guarantee) -> None:
        """As plain Python values, also for one point, or none at all."""
        for points in (0, 1, 9):
            proof = guarantee.prove(world(0).losses[:points], self.level, self.delta)
            assert len(proof.epsilon) == points
            assert all(epsilon is None or 0.0 < epsilon < 1.0 for epsilon in proof.epsilon)
            assert all(type(epsilon) is float for epsilon in proof.epsilon if epsilon is not None)

    def test_it_says_with_which_probability_or_none(self, guarantee: Guarantee) -> None:
        """The delta that was asked for, or None for a bound on the average, which the method says, too."""
        proof = guarantee.prove(world(0).losses, self.level, self.delta)
        assert proof.delta in (self.delta, None)
        assert ("on average" in proof.method) == (proof.delta is None)

    def test_no_loss_proves_the_goal_and_nothing_but_loss_proves_nothing(self, guarantee: Guarantee) -> None:
        """On a few thousand samples."""
        kept = guarantee.prove(np.zeros((3, 4000)), self.level, self.delta).epsilon
        assert all(epsilon is not None and epsilon <= self.level for epsilon in kept)
        assert guarantee.prove(np.ones((3, 4000)), self.level, self.delta).epsilon == (None, None, None)

    def test_few_samples_do_not_prove_the_goal(self, guarantee: Guarantee) -> None:
        """Thirty without a loss are no evidence that fewer than one in fifty is lost."""
        proof = guarantee.prove(np.zeros((2, 30)), self.level, self.delta)
        assert all(epsilon is None or epsilon > self.level for epsilon in proof.epsilon)

    def test_two_calls_give_the_same_and_losses_stay(self, guarantee: Guarantee) -> None:
        """Proving is deterministic and writes to nothing."""
        losses = world(1).losses
        assert guarantee.prove(losses, self.level, self.delta) == guarantee.prove(losses, self.level, self.delta)
        np.testing.assert_array_equal(losses, world(1).losses)

    def test_it_proves_something(self, guarantee: Guarantee) -> None:
        """It is not safe by saying nothing: on 4,000 samples the goal is proved down to a third of it."""
        found = world(0, samples=4000)
        last = cheapest(guarantee.prove(found.losses, self.level, self.delta), self.level)
        assert last is not None
        assert found.risk[last] >= self.level / 3

    def test_the_promise_is_kept(self, guarantee: Guarantee) -> None:
        """In so many worlds, with an allowance for chance that one in a thousand correct guarantees exceeds."""
        for kind in self.kinds(guarantee):
            found = [world(seed, kind) for seed in range(self.worlds)]
            proofs = [guarantee.prove(one.losses, self.level, self.delta) for one in found]
            if proofs[0].delta is None:
                self.check_averages(found, proofs, kind)
            else:
                self.check_probability(found, proofs, kind)

    def check_probability(self, found: list[World], proofs: list[Proof], kind: str) -> None:
        """A share of at most delta of the worlds holds any risk beyond what was proved."""
        broken = sum(
            any(e is not None and risk > e * (1 + 1e-9) for e, risk in zip(proof.epsilon, one.risk, strict=True))
            for one, proof in zip(found, proofs, strict=True)
        )
        allowed = scipy("stats", "this suite").binom.isf(0.001, len(found), self.delta)
        assert broken <= allowed, f"{kind}: broken in {broken} of {len(found)} worlds"

    def check_averages(self, found: list[World], proofs: list[Proof], kind: str) -> None:
        """At each level the mean risk of the cheapest point is at most the level, but for three standard errors."""
        for level in sorted({epsilon for proof in proofs for epsilon in proof.epsilon if epsilon is not None}):
            last = [cheapest(proof, level) for proof in proofs]
            risk = np.array([0.0 if i is None else one.risk[i] for i, one in zip(last, found, strict=True)])
            allowed = level + 3.0 * risk.std() / np.sqrt(risk.size)
            assert risk.mean() <= allowed, f"{kind}: mean risk {risk.mean():.4f} at level {level:g}"
