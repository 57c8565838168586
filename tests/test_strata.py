"""Certificates for some of the samples hold for these."""

import dataclasses

import numpy as np

from offramp.decide.guarantees.ltt import LearnThenTest
from offramp.decide.replay import excess, operating_point
from offramp.strata import further_bounds
from offramp.testing.searchers import random_table
from offramp.types import Configuration, ExitTable, OperatingPoint

DELTA, LEVEL = 0.2, 0.05


def path(table: ExitTable) -> list[OperatingPoint]:
    found = [Configuration((True,) * 3, (value,) * 3) for value in (0.95, 0.9, 0.8, 0.7)]
    return [operating_point(table, one, f"p{index}") for index, one in enumerate([Configuration.full(3), *found])]


def drawn(seed: int, samples: int) -> tuple[ExitTable, np.ndarray]:
    """A world in which exits are much worse at one kind of samples, a third of all."""
    table = dataclasses.replace(random_table(seed, samples=samples), split="certify")
    generator = np.random.default_rng((seed, 1))
    rare = generator.random(samples) < 1 / 3
    worse = rare & (generator.random(samples) < 0.08)
    table.loss[:-1, worse] = 1.0
    return table, rare


def test_bounds_are_those_of_the_samples_alone() -> None:
    table, rare = drawn(0, 3000)
    points = path(random_table(7))
    found = further_bounds(points, table, {"misses": rare, "others": ~rare}, LEVEL, DELTA, LearnThenTest())
    assert [bound.risk for bound in found[0]] == ["misses", "others"]
    assert found[0][0].epsilon == 0.0, "who never leaves early misses nothing"
    assert {bound.n for bounds in found for bound in bounds if bound.risk == "misses"} == {int(rare.sum())}
    by_risk = {bound.risk: bound.epsilon for bound in found[1]}
    assert by_risk["misses"] > by_risk["others"]


def test_a_kind_without_samples_promises_nothing() -> None:
    table, rare = drawn(0, 300)
    found = further_bounds(path(random_table(7)), table, {"misses": rare & False}, LEVEL, DELTA, LearnThenTest())
    assert found == [()] * 5


def test_a_certified_risk_of_the_kind_holds_in_enough_worlds() -> None:
    points = path(random_table(7))
    everyone, rare = drawn(10**6, 200_000)
    truth = [float(excess(everyone, point.configuration)[rare].mean()) for point in points]
    broken = 0
    for seed in range(200):
        table, kind = drawn(seed, 1500)
        found = further_bounds(points, table, {"misses": kind}, LEVEL, DELTA, LearnThenTest())
        broken += any(real > one.epsilon for real, bounds in zip(truth, found, strict=True) for one in bounds)
    assert any(len(bounds) for bounds in found[1:])
    assert broken <= DELTA * 200 + 3 * np.sqrt(200 * DELTA * (1 - DELTA))
