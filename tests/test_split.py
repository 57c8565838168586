import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offramp.errors import DataError, InputError
from offramp.split import PARTS, Shares

SHARES = st.lists(st.integers(1, 90), min_size=4, max_size=4)


@given(SHARES, st.integers(200, 900), st.integers(0, 99))
def test_parts_are_disjoint_sorted_and_everything(numbers: list[int], samples: int, seed: int) -> None:
    shares = Shares.parse("/".join(map(str, numbers)))
    try:
        parts = shares.divide(samples, seed)
    except DataError:
        assert min(numbers) / sum(numbers) * samples < 1.0
        return
    assert tuple(parts) == PARTS
    assert np.sort(np.concatenate(list(parts.values()))).tolist() == list(range(samples))
    for part, share in zip(parts.values(), shares.values(), strict=True):
        assert part.tolist() == sorted(part.tolist())
        assert abs(len(part) - share * samples) <= 1.0


def test_the_seed_decides() -> None:
    one, same, other = (Shares().divide(100, seed) for seed in (0, 0, 1))
    assert all(one[part].tolist() == same[part].tolist() for part in PARTS)
    assert one["train"].tolist() != other["train"].tolist()


@pytest.mark.parametrize("text", ["50/20/30", "a/b/c/d", "", "0/0/0/0", "1/2/3/4/5"])
def test_refuses_what_is_not_four_numbers(text: str) -> None:
    with pytest.raises(InputError, match="expected four numbers such as 50/15/20/15"):
        Shares.parse(text)


@pytest.mark.parametrize("values", [(0.5, 0.5, 0.2, -0.2), (0.5, 0.2, 0.2, 0.2), (1.0, 0.0, 0.0, 0.0)])
def test_refuses_shares_that_are_no_division(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="expected four positive shares that sum to 1"):
        Shares(*values)


def test_refuses_data_too_small_for_every_part() -> None:
    with pytest.raises(DataError, match="expected samples for every part, got 3 in all and none to"):
        Shares().divide(3, 0)
