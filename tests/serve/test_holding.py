from offramp.serve.controller import Controller, usable
from offramp.serve.endpoint import Endpoint
from offramp.serve.holding import Holding
from offramp.serve.monitor import Audits
from offramp.serve.watch import Watch
from tests.serve.world import deployment


def held(measure: str, target: float, haste: int = 1) -> tuple[Endpoint, Watch, Holding, list[float]]:
    """An endpoint, what is measured of it, and its clock."""
    now = [0.0]
    made = deployment()
    watch = Watch(made, Audits(), lambda _: None, clock=lambda: now[0])
    endpoint = Endpoint(made, watch)
    controller = Controller(usable(made.points, None), measure, target, haste=haste, patience=2)
    endpoint.switch(controller.points[0])
    return endpoint, watch, Holding(endpoint, watch, controller), now


def test_it_steps_to_cheaper_points_while_latency_is_high_and_back_when_nothing_comes() -> None:
    endpoint, watch, holding, now = held("p95", 0.1)
    try:
        for level in (1, 2):
            watch.latency.add(0.15)
            holding.tick()
            assert endpoint.active.name == holding.points[level]
        now[0] = 60.0
        for _ in range(20):
            holding.tick()
        assert endpoint.active.name == holding.points[0]
    finally:
        assert endpoint.engine.close(20.0)


def test_a_point_chosen_by_hand_is_where_it_goes_on_from() -> None:
    endpoint, watch, holding, _ = held("cost", 0.5)
    try:
        watch.costs.add(0.4)
        endpoint.switch(holding.points[3])
        holding.tick()
        assert endpoint.active.name == holding.points[3]
        watch.costs.add(0.9)
        holding.tick()
        assert endpoint.active.name == holding.points[4]
    finally:
        assert endpoint.engine.close(20.0)


def test_a_broken_point_is_used_no_more() -> None:
    endpoint, watch, holding, _ = held("p95", 0.1)
    broken = holding.points[1]
    try:
        holding.without(broken)
        watch.latency.add(0.15)
        holding.tick()
        assert broken not in holding.points
        assert endpoint.active.name == holding.points[1] != broken
        for name in holding.points:
            holding.without(name)
        assert len(holding.points) == 1
    finally:
        assert endpoint.engine.close(20.0)


def test_the_thread_ends() -> None:
    endpoint, _, holding, _ = held("queue", 5.0)
    holding.start()
    holding.end()
    assert holding.measured() == 0.0
    assert endpoint.engine.close(20.0)
