"""Rows that carry arrays of different lengths are run with those of their own length."""

import numpy as np

from offramp.offline.scoring import INDEX, alike


def test_rows_of_equal_shapes_stay_together_and_none_is_lost() -> None:
    lengths = [3, 5, 3, 4, 5]
    ragged = np.empty(5, object)
    for at, length in enumerate(lengths):
        ragged[at] = np.full((length, 2), at)
    found = alike({INDEX: np.arange(5) + 10, "state0": ragged, "state1": np.arange(10).reshape(5, 2)})
    assert [one[INDEX].tolist() for one in found] == [[10, 12], [11, 14], [13]]
    for one in found:
        assert one["state0"].dtype != object
        np.testing.assert_array_equal(one["state0"][:, 0, 0], one[INDEX] - 10)
        np.testing.assert_array_equal(one["state1"][:, 0], 2 * (one[INDEX] - 10))


def test_rows_of_one_shape_are_taken_as_they_are() -> None:
    batch = {INDEX: np.arange(3), "state0": np.zeros((3, 2))}
    assert alike(batch) == [batch]
