import pytest

from offramp.advise.expected import Expected
from offramp.advise.verdict import BUILD, DONT, MAY_PAY, before


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
    found = before(point(**time), point(**time), 0.01, 1000)
    assert found.word == word


def test_without_times_macs_decide() -> None:
    assert before(point(0.5), point(0.5), 0.01, 1000).word == BUILD
    assert before(point(0.99), point(0.99), 0.01, 1000).word == DONT


def test_what_cannot_be_certified_is_no_clear_case() -> None:
    found = before(point(0.5), None, 0.01, 80)
    assert found.word == MAY_PAY
    assert "80 samples cannot certify 1 % of disagreement; give more data, or a larger --max-drop" in found.reasons


def test_reasons_say_what_is_saved_and_what_breaks_even() -> None:
    found = before(point(b1=0.62, b32=1.04), point(b1=0.62, b32=1.04), 0.01, 1000)
    assert found.reasons[:2] == (
        "38 % less time at batch 1 (20 % have to leave early to break even)",
        "4 % more time at batch 32 (20 % have to leave early to break even)",
    )
