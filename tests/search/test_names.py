from offramp.search import NAMES
from offramp.search.searcher import Searcher
from offramp.search.tolerance import ToleranceBudget


def test_every_name_makes_a_searcher() -> None:
    assert list(NAMES) == [
        "coordinate",
        "dyce",
        "dyce-iterative",
        "dyce-iterative-brent",
        "dyce-single",
        "dyce-single-brent",
        "shared",
        "shares-geometric",
        "shares-optimised",
        "tolerance",
        "tolerance-all",
        "tolerance-equal",
        "tolerance-optimised",
        "uniform",
        "uniform-0.9",
        "uniform-1",
    ]
    assert all(isinstance(make(), Searcher) for make in NAMES.values())


def test_the_two_tolerances_differ_in_their_shares() -> None:
    assert NAMES["tolerance"]() == ToleranceBudget(halving=True)
    assert NAMES["tolerance-equal"]() == ToleranceBudget(halving=False)
