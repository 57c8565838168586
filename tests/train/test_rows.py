import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offramp.model.cache import FeatureCache
from offramp.train.rows import Rows
from tests.train.caches import KEYS, cache


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=3),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=9),
)
def test_rows_run_over_all_caches(sizes: list[tuple[int, int]], picks: list[int]) -> None:
    caches = [cache(samples, copies, seed=i) for i, (samples, copies) in enumerate(sizes)]
    rows = Rows(tuple(caches))
    where: list[tuple[FeatureCache, int, int]] = []
    first_sample = 0
    for made in caches:
        where += [(made, row, first_sample + row % made.samples) for row in range(len(made.logits))]
        first_sample += made.samples
    assert len(rows) == len(where)
    chosen = np.array([pick % len(where) for pick in picks])
    logits, early = rows.logits(chosen), rows.features(KEYS[0], chosen)
    late, samples = rows.features(KEYS[1], chosen), rows.sample_of(chosen)
    for position, row in enumerate(chosen):
        made, inside, sample = where[row]
        assert logits[position].tolist() == made.logits[inside].tolist()
        assert early[position].tolist() == made.features[KEYS[0]][inside].tolist()
        assert late[position].tolist() == made.features[KEYS[1]][inside].astype(np.float32).tolist()
        assert samples[position] == sample
