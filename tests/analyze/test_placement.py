from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offramp.analyze.placement import greedy, saving

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    points, samples = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    upto = np.sort(generator.uniform(0.02, 0.98, points))
    return generator.random((points, samples)) < upto[:, None], upto, generator.uniform(0.0, 0.05, points)


@given(cases(), st.data())
def test_the_saving_is_that_of_each_sample(case: Case, data: st.DataObject) -> None:
    agrees, upto, price = case
    chosen = sorted(data.draw(st.sets(st.integers(0, len(upto) - 1))))
    total = 0.0
    for sample in range(agrees.shape[1]):
        spent, left = 0.0, False
        for point in chosen:
            spent += price[point]
            if agrees[point, sample]:
                total += 1.0 - upto[point] - spent
                left = True
                break
        total -= 0.0 if left else spent
    np.testing.assert_allclose(saving(agrees, upto, price, chosen), total / agrees.shape[1], atol=1e-12)


@given(cases(), st.integers(1, 6))
def test_gains_add_up_and_the_list_is_near_the_best_of_its_length(case: Case, most: int) -> None:
    agrees, upto, price = case
    found = greedy(agrees, upto, price, most)
    chosen = [point for point, _ in found]
    assert len(set(chosen)) == len(chosen) <= most
    assert all(gain > 0 for _, gain in found)
    np.testing.assert_allclose(sum(gain for _, gain in found), saving(agrees, upto, price, chosen), atol=1e-9)
    free = np.zeros(len(upto))
    reached = saving(agrees, upto, free, [point for point, _ in greedy(agrees, upto, free, most)])
    sets = [list(each) for size in range(min(most, len(upto)) + 1) for each in combinations(range(len(upto)), size)]
    assert reached >= (1 - 1 / np.e) * max(saving(agrees, upto, free, each) for each in sets) - 1e-9
