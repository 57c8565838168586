from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from offramp.kept import FULL, LEVELS, named, worth_keeping
from offramp.types import Bound, Configuration, OperatingPoint

LIMITS = st.sampled_from([None, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1])


PATHS = st.lists(st.tuples(st.integers(20, 9900), LIMITS), max_size=25, unique_by=lambda drawn: drawn[0])


def certified(drawn: list[tuple[int, float | None]]) -> list[OperatingPoint]:
    """A search's path after certification: the backbone first, then cheaper and cheaper, some without a proof."""
    path = sorted(drawn, key=lambda one: -one[0])
    points = [_point("p00", 1.0, 0.0, enabled=False)]
    return points + [_point(f"p{i + 1:02d}", cost / 1e4, epsilon) for i, (cost, epsilon) in enumerate(path)]


def _point(name: str, cost: float, epsilon: float | None, *, enabled: bool = True) -> OperatingPoint:
    bound = None if epsilon is None else Bound("disagreement", epsilon, 0.1, "exact", 100)
    return OperatingPoint(name, Configuration((enabled,), (0.5,)), 0.0, cost, (0.5, 0.5), "choose", bound)


@given(PATHS, st.integers(8, 20))
def test_only_proved_points_are_kept_and_the_cheapest_of_every_level(
    drawn: list[tuple[int, float | None]], most: int
) -> None:
    points = certified(drawn)
    kept = worth_keeping(points, most)
    assert kept == [point for point in points if point in kept]
    assert all(point.bound is not None for point in kept)
    assert points[0] in kept
    assert len(kept) <= most
    for epsilon in {point.bound.epsilon for point in points if point.bound}:
        level = [point for point in points if point.bound and point.bound.epsilon == epsilon]
        assert min(level, key=lambda point: point.cost) in kept


@given(PATHS, st.sampled_from([None, 0.04, 0.2]))
def test_a_trained_backbone_is_kept_whatever_was_proved_of_it(
    drawn: list[tuple[int, float | None]], epsilon: float | None
) -> None:
    full, *others = certified(
        [one for one in drawn if one[1] is not None and epsilon is not None and one[1] >= epsilon]
    )
    bound = None if epsilon is None else Bound("error", epsilon, 0.1, "exact", 100)
    kept = worth_keeping([replace(full, bound=bound), *others], 16)
    final, aliases = named(kept, 0.01)
    assert (final[0].name, final[0].bound) == (FULL, bound)
    by_name = {point.name: point for point in final}
    for name, multiple in LEVELS:
        meant, within = (
            by_name[aliases.get(name, name)],
            [p for p in final if p.bound and p.bound.epsilon <= multiple * 0.01 * (1 + 1e-9)],
        )
        assert meant == min(within, key=lambda point: point.cost, default=final[0])


@given(PATHS)
def test_names_are_unique_and_keep_their_promise(drawn: list[tuple[int, float | None]]) -> None:
    kept = worth_keeping(certified(drawn), 16)
    final, aliases = named(kept, 0.01)
    names = [point.name for point in final]
    assert len(set(names)) == len(names)
    assert not set(names) & set(aliases)
    assert set(aliases.values()) <= set(names)
    assert [replace(after, name=before.name) for before, after in zip(kept, final, strict=True)] == kept
    assert final[0].name == FULL
    by_name = {point.name: point for point in final}
    for name, multiple in LEVELS:
        meant = by_name[aliases.get(name, name)]
        assert meant.bound is not None
        assert meant.bound.epsilon <= multiple * 0.01 * (1 + 1e-9)
        within = [p for p in final if p.bound and p.bound.epsilon <= multiple * 0.01 * (1 + 1e-9)]
        assert meant.cost == min(point.cost for point in within)


def test_points_are_called_by_what_is_told_though_another_price_says_which_is_the_cheapest() -> None:
    points = [_point("p00", 1.0, 0.0, enabled=False), _point("p01", 0.5, 0.01), _point("p02", 0.4, 0.01)]
    final, _ = named(points, 0.01, [1.0, 0.62, 0.71])
    assert [point.name for point in final] == ["full", "cost62", "balanced"]
    assert [point.name for point in named(points, 0.01)[0]] == ["full", "cost50", "balanced"]
