import numpy as np
import pytest

from offramp.analyze.barrier import Barrier, barrier
from offramp.errors import InputError


def test_a_convex_loss_has_no_barrier() -> None:
    assert barrier((np.linspace(-1.0, 1.0, 11) ** 2).tolist()) == Barrier(0.0, 0.0)


def test_a_concave_quadratic_has_its_height_in_the_middle() -> None:
    """L(a) = c a (1 - a) + linear rises c / 4 above the line, whatever the line."""
    share = np.linspace(0.0, 1.0, 21)
    found = barrier((6.0 * share * (1 - share) + 3.0 - 2.0 * share).tolist())
    assert found.height == pytest.approx(1.5)
    assert found.at == pytest.approx(0.5)


def test_a_double_well_has_its_top() -> None:
    at = np.linspace(-1.0, 1.0, 11)
    assert barrier(((at**2 - 1) ** 2).tolist()).height == pytest.approx(1.0)
    assert barrier(((at**2 - 1) ** 2 + at).tolist()).height == pytest.approx(1.0)


@pytest.mark.parametrize("losses", [[1.0, 2.0], [1.0, float("nan"), 1.0], [1.0, float("inf"), 1.0]])
def test_what_has_no_middle_is_refused(losses: list[float]) -> None:
    with pytest.raises(InputError, match="at least three finite losses"):
        barrier(losses)
