import pytest

from offramp.advise.contender import CASCADE, INT8, INT8_EXITS, STATIC
from offramp.advise.equal import MACS, Equal
from offramp.advise.expected import Expected
from offramp.advise.verdict import BUILD, DEPENDS, DONT, MAY_PAY, PAYS, ROUNDED, SMALLER, after, before


def point(cost: float = 0.7, **time: float) -> Expected:
    sizes = {int(name[1:]): share for name, share in time.items()}
    even = dict.fromkeys(sizes, 0.2)
    return Expected(cost, 0.005, 0.6, sizes, dict.fromkeys(sizes, 0.05), dict(even))


@pytest.mark.parametrize(
    ("time", "word"),
    [
        ({"b1": 0.6, "b32": 0.7}, BUILD),
        ({"b1": 0.95, "b32": 0.7}, MAY_PAY),
        ({"b1": 1.1, "b32": 0.7}, MAY_PAY),
        ({"b1": 1.1, "b32": 0.98}, DONT),
        ({"b1": 0.93, "b32": 0.94}, MAY_PAY),
    ],
)
def test_the_word_follows_from_the_time_saved(time: dict[str, float], word: str) -> None:
    found = before(point(**time), point(**time), point(), 0.01, 1000)
    assert found.word == word


def test_without_times_macs_decide() -> None:
    assert before(point(0.5), point(0.5), point(), 0.01, 1000).word == BUILD
    assert before(point(0.99), point(0.99), point(), 0.01, 1000).word == DONT


def test_what_cannot_be_certified_is_no_clear_case() -> None:
    found = before(point(0.5), None, point(), 0.01, 80)
    assert found.word == MAY_PAY
    assert "80 samples cannot certify 1 % of disagreement; give more data, or a larger --max-drop" in found.reasons


def test_reasons_say_what_is_saved_and_what_breaks_even() -> None:
    found = before(point(b1=0.62, b32=1.04), point(b1=0.62, b32=1.04), point(b1=0.7, b32=1.1), 0.01, 1000)
    assert found.reasons == (
        "38 % less time at batch 1",
        "4 % more time at batch 32",
        "with probes 60 % of the samples leave early; to break even it takes 20 % at batch 1, 20 % at batch 32",
    )


KINDS = {"small": STATIC, "both": CASCADE, "int8": INT8, "int8 + exits": INT8_EXITS}


def equal(own: float, measure: str = MACS, way: str = "balanced", **others: float | None) -> Equal:
    return Equal(way, 0.93, measure, own, {name.replace("_", " "): cost for name, cost in others.items()})


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (equal(0.6, small=None, both=0.8), PAYS),
        (equal(0.6, small=None, both=0.62), PAYS),
        (equal(0.6, small=None, both=0.4), SMALLER),
        (equal(0.6, small=0.3, both=0.7), SMALLER),
        (equal(0.98, small=None, both=None), DONT),
        (equal(1.1, small=None, both=1.05), DONT),
        (equal(1.1, small=None, both=0.5), SMALLER),
        (equal(0.6, int8=0.4, both=0.5), ROUNDED),
        (Equal("balanced", 0.93, MACS, 0.6, {"int8": 0.4, "int8 + exits": 0.3}), PAYS),  # exits, too
        (equal(0.6, int8=0.59, both=None), PAYS),  # less than a point is nothing
    ],
)
def test_the_word_follows_from_what_else_costs_less(one: Equal, word: str) -> None:
    found = after([one], KINDS)
    assert found.word == word
    assert found.reasons[0].startswith(f"MACs: {word}; at 93.00 % the point balanced takes {100 * one.own:.0f} %")


def test_times_decide_where_there_are_any() -> None:
    macs, at_1, at_32 = equal(0.6), equal(1.2, "time at batch 1"), equal(0.7, "time at batch 32")
    assert after([macs, at_1], KINDS).word == DONT
    assert after([macs, at_32], KINDS).word == PAYS
    assert after([macs, at_1, at_32], KINDS).word == DEPENDS


def test_the_certified_point_is_judged_else_the_chosen_one_else_the_first() -> None:
    fast, chosen, balanced = equal(0.4, way="fast"), equal(0.99, way="chosen"), equal(0.7, way="balanced")
    assert after([fast, chosen, balanced], KINDS).reasons[0].endswith("the point balanced takes 70 %")
    assert after([fast, chosen], KINDS).word == DONT
    assert after([fast], KINDS).word == PAYS
