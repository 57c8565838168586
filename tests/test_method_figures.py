from offramp.decide.replay import replay
from offramp.method_figures import best_of, best_within, cheapest_within
from offramp.testing.searchers import random_table
from offramp.types import Configuration


def test_what_is_chosen_is_the_cheapest_allowed_and_the_best_affordable() -> None:
    table = random_table(3, risk="error", samples=400)
    path = [Configuration((True,) * 3, (t,) * 3) for t in (0.99, 0.9, 0.8, 0.6, 0.4)] + [Configuration.full(3)]
    own = table.loss[-1].mean()
    seen = {
        one: (replay(table, one).cost.mean() / table.cost.backbone, replay(table, one).loss.mean() - own)
        for one in path
    }
    for drop in (0.5, 2.0, 10.0):
        allowed = {one: cost for one, (cost, lost) in seen.items() if lost <= drop / 100}
        assert cheapest_within(table, path, drop) == min(allowed, key=allowed.__getitem__)
    for budget in (60.0, 80.0, 100.0):
        affordable = {one: lost for one, (cost, lost) in seen.items() if cost <= budget / 100}
        best = best_within(table, path, budget)
        assert (best is None) == (not affordable)
        assert best is None or seen[best][1] == min(affordable.values())
    assert cheapest_within(table, [], 1.0) == Configuration.full(3)


def test_a_front_of_several_searches_keeps_what_none_of_them_beats() -> None:
    table = random_table(3, samples=400)
    near = [Configuration((True, True, True), (t,) * 3) for t in (0.9, 0.6, 0.3)]
    far = [Configuration((False, True, True), (t,) * 3) for t in (0.95, 0.7, 0.4, 0.0)]
    kept = best_of(table, [*near, *far, *near])
    seen = {one: (replay(table, one).cost.mean(), replay(table, one).loss.mean()) for one in (*near, *far)}
    beaten = {
        one
        for one, (cost, loss) in seen.items()
        if any(c <= cost and lost <= loss and (c, lost) != (cost, loss) for c, lost in seen.values())
    }
    assert {seen[one] for one in kept} == {seen[one] for one in seen if one not in beaten}
    assert len(kept) == len(set(kept))
    assert [seen[one][0] for one in kept] == sorted(seen[one][0] for one in kept)
    assert len({one.enabled for one in kept}) == 2
