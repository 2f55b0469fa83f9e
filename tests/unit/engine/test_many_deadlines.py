"""After a start thousands of calls are due at once: messages get their turn between them."""

from doubles.virtual.scene import Scene

from vosd.engine.calls import switch

CALLS = 5


def test_calls_that_are_due_at_once_are_handled_some_at_a_time_and_all_in_the_end(monkeypatch):
    monkeypatch.setattr(switch, "DEADLINES_AT_ONCE", 2)
    scene = Scene()
    calls = [scene.talk()[0] for _ in range(CALLS)]
    exchange = scene.exchange
    granted_s = [each.call_request.hold.granted_s for each in exchange.node.switch.calls()]
    exchange.clock.move_to(exchange.clock.now().mono + 1_000 * max(granted_s))

    def extended() -> int:
        return sum(
            each.call_request.hold.granted_s > before
            for each, before in zip(exchange.node.switch.calls(), granted_s, strict=True)
        )

    counts = []
    for _ in range(4):
        exchange._fire()
        counts.append(extended())
    assert counts == [2, 4, 5, 5]
    for call in calls:
        call.hang_up()
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    assert len(exchange.sink.records) == CALLS
    assert exchange.leftovers() == {}
