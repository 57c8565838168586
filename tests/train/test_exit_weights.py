import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import InputError
from offramp.train.exit_weights import Alternating, ByDepth, Given, Line, Mean, Only, Ramp, taking_part

SDN = (0.15, 0.30, 0.45, 0.60, 0.75, 0.90, 1.0)
SHARES = st.lists(st.floats(0.01, 0.99), max_size=5).map(lambda inner: (*sorted(inner), 1.0))


def test_the_ramp_is_that_of_sdn_for_its_own_exits() -> None:
    """0.01 + C t / T, written down for t = 0, T / 2 and T, and never above C."""
    assert Ramp().at(0, 100, SDN) == pytest.approx((0.01,) * 6 + (1.0,))
    assert Ramp().at(50, 100, SDN) == pytest.approx((0.085, 0.16, 0.235, 0.31, 0.385, 0.46, 1.0))
    assert Ramp().at(100, 100, SDN) == pytest.approx(SDN)


@given(SHARES, st.integers(1, 50))
def test_the_ramp_never_falls_and_ends_at_the_share_of_the_cost(shares: tuple[float, ...], steps: int) -> None:
    rows = [Ramp().at(step, steps, shares) for step in range(steps + 1)]
    for column, share in zip(zip(*rows, strict=True), shares, strict=True):
        assert list(column) == sorted(column)
        assert column[-1] == pytest.approx(share)
        assert column[0] in (pytest.approx(min(share, 0.01)), 1.0)


@given(SHARES)
def test_constant_weights_do_not_depend_on_progress(shares: tuple[float, ...]) -> None:
    for weights in (Line(), Line(1.0, 0.3), Mean(), Mean(final=False), ByDepth(), Only(-1)):
        found = weights.at(0, 10, shares)
        assert len(found) == len(shares)
        assert all(weights.at(step, 10, shares) == found for step in range(10))


def test_closed_forms() -> None:
    shares = (0.2, 0.5, 0.7, 1.0)
    assert Line().at(0, 1, shares) == (1.0, 1.0, 1.0, 1.0)
    assert Line(1.0, 0.3).at(0, 1, shares)[0] == 1.0
    assert Line(1.0, 0.3).at(0, 1, shares)[-1] == pytest.approx(0.3)
    assert ByDepth().at(0, 1, shares) == (0.1, 0.2, 0.3, 0.4)
    assert Mean().at(0, 1, shares) == (0.25,) * 4
    assert Only(1).at(0, 1, shares) == (0.0, 1.0, 0.0, 0.0)
    assert Line(0.7, 0.3).at(0, 1, (1.0,)) == (0.7,)


def test_the_first_step_is_an_odd_one() -> None:
    found = [Alternating().at(step, 4, (0.5, 1.0)) for step in range(4)]
    assert found == [(0.0, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 1.0)]


def test_given_weights_have_to_be_as_many_as_the_exits() -> None:
    assert Given((0.5, 1.0)).at(0, 1, (0.5, 1.0)) == (0.5, 1.0)
    with pytest.raises(InputError, match="expected one weight per exit, the last exit included, got 2 weights for 3"):
        Given((0.5, 1.0)).at(0, 1, (0.2, 0.5, 1.0))


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_exits_take_part_that_count_at_some_step(steps: int) -> None:
    shares = (0.2, 0.5, 1.0)
    assert taking_part(Only(1), steps, shares) == (1,)
    assert taking_part(Mean(final=False), steps, shares) == (0, 1)
    assert taking_part(Alternating(), steps, shares) == ((2,) if steps == 1 else (0, 1, 2))
    assert taking_part(Ramp(start=0.0), steps, shares) == ((2,) if steps == 1 else (0, 1, 2))
