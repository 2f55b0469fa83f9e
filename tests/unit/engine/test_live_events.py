"""Live events of a switch: what calls and other parts tell, and that nothing is told while no one follows."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.data.builders import account
from doubles.live_events import balance_low, call_ended
from doubles.memory.store import MemoryStore
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene
from doubles.virtual.vendor import answers, refuses

from vosd.admin.office.events import for_agents
from vosd.control.events import EventBatch, EventType, LiveEvent, document_of
from vosd.engine.alarms.desk import AlarmDesk
from vosd.engine.booking.balances import Balances
from vosd.engine.calls.snapshots import snapshot
from vosd.engine.reports import live_events
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.settings import AlarmSettings
from vosd.obs.events import GONE
from vosd.obs.stream import EventStream, Noted
from vosd.storage.ports import EntryKind, Payment

AT = 1_700_000_000_000


def events_of(scene: Scene) -> LiveEvents:
    return LiveEvents("sw1", scene.exchange.clock, CallReporters(scene.exchange.switch.report_calls).place())


def call_and_wait(scene: Scene) -> None:
    scene.whole_call(Intent(hang_up_after_ms=5_000))
    scene.wire.run_for(100)


def test_a_call_tells_each_of_its_states_with_its_accounts_and_gateways():
    scene = Scene()
    scene.vendors[0].script, scene.vendors[1].script = refuses(503), answers(1_000)
    with events_of(scene).followed() as follower:
        call_and_wait(scene)
        found = follower.batch().events
    assert [each.type.value for each in found] == [
        "call.trying", "call.trying", "call.ringing", "call.answered", "call.ended",
    ]  # fmt: skip
    record = scene.record
    assert {each.data.call_id for each in found} == {record.call_id}
    assert found[-1].accounts == (record.customer_account, record.vendor_account)
    assert found[-1].gateways == (record.mapping_gateway, record.routing_gateway)
    assert (found[-1].data.end_reason, found[-1].data.hold_time_ms) == ("Normal", record.hold_time_ms)
    scene.close()


def test_an_agent_is_told_the_same_number_and_price_of_an_answered_call_as_the_running_calls_have():
    scene = Scene()
    scene.vendor.script = answers(1_000)
    with events_of(scene).followed() as follower:
        call = scene.settled_call(Intent(hang_up_after_ms=5_000))
        scene.wire.run_for(100)
        (row,) = (snapshot(each, scene.exchange.clock.now()) for each in scene.exchange.switch.calls())
        told = next(each for each in follower.batch().events if each.type is EventType.CALL_ANSWERED)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(100)
    shown = for_agents(told)
    assert row.price_per_minute is not None
    assert (shown["callee_billing"], shown["price_per_minute"], shown["currency"]) == (
        row.callee,
        row.price_per_minute,
        row.currency,
    )
    assert shown["answered_at"] == row.answered_at
    scene.close()


def test_nothing_is_made_while_no_one_follows():
    scene = Scene()
    events = events_of(scene)
    with events.followed():
        assert scene.exchange.switch.services.reporter is events
    assert scene.exchange.switch.services.reporter is None
    events.noted("gateway_down", {"gateway": "g"}, AT)
    events.balance_changed("acme", "1", "EUR")
    call_and_wait(scene)
    with events.followed() as follower:
        assert follower.batch().events == []
    scene.close()


def test_reports_and_events_are_told_of_the_same_calls_and_one_that_goes_takes_the_other_not_along():
    scene = Scene()
    reporters = CallReporters(scene.exchange.switch.report_calls)
    first, second = (LiveEvents("sw1", scene.exchange.clock, reporters.place()) for _ in range(2))
    with first.followed() as one:
        with second.followed() as other:
            call_and_wait(scene)
            assert one.batch() == other.batch()
        assert scene.exchange.switch.services.reporter is first
    scene.close()


def test_a_follower_that_is_too_slow_loses_the_oldest_events_and_is_told_how_many(monkeypatch):
    monkeypatch.setattr(live_events, "WAITING_MAX", 3)
    follower = live_events.EventFollower()
    for number in range(5):
        follower.put(call_ended(seq=number))
    batch = follower.batch()
    assert ([each.data.seq for each in batch.events], batch.left_out) == ([2, 3, 4], 2)
    assert follower.batch().left_out == 0


def test_events_of_the_log_are_told_with_the_objects_that_they_are_about():
    stream, clock = EventStream(), ManualClock()
    events = LiveEvents("sw1", clock, lambda _reporter: None)
    desk = AlarmDesk(stream, clock, AlarmSettings(), {}, events=events)
    override = {"target": "account", "name": "acme", "setting": "blocked", "value": "", "operator": "ann"}
    override |= {"until": None, "memo": None}
    with events.followed() as follower:
        for name, facts in (
            ("gateway_down", {"gateway": "g1"}),
            ("gateway_up", {"gateway": "g1", "why": GONE}),
            ("balance_low", msgspec.to_builtins(balance_low("acme").data)),
            ("override_set", override),
            ("override_ended", {**override, "target": "gateway", "why": "cleared"}),
            ("configuration_loaded", {"catalogue": "v2"}),
        ):
            stream.put(Noted(name, facts, AT))
        desk.take()
        found = follower.batch().events
    told = [(each.type.value, each.accounts, each.gateways) for each in found if not each.type.startswith("alarm")]
    assert told == [
        ("gateway.down", (), ("g1",)),
        ("balance.low", ("acme",), ()),
        ("override.set", ("acme",), ()),
        ("override.ended", (), ("acme",)),
        ("definitions.changed", (), ()),
    ]
    alarms = [(each.type.value, each.data.alarm) for each in found if each.type.startswith("alarm")]
    assert alarms == [
        ("alarm.raised", "gateway_down"),
        ("alarm.cleared", "gateway_down"),
        ("alarm.raised", "balance_low"),
    ]


def test_a_gateway_is_told_once_to_be_full_and_once_to_be_free():
    events = LiveEvents("sw1", ManualClock(), lambda _reporter: None)
    with events.followed() as follower:
        for full in ({"g1": 2}, {"g1": 2}, {}):
            events.full_gateways(full)
        found = follower.batch().events
    assert [(each.type.value, each.gateways) for each in found] == [
        ("gateway.full", ("g1",)),
        ("gateway.free", ("g1",)),
    ]


async def test_a_payment_of_another_process_is_told_and_a_booked_call_is_not():
    store, told = MemoryStore(), []
    balances = Balances(store)
    await balances.adopt({"acme": account("acme")})
    balances.booked_elsewhere = lambda *facts: told.append(facts)
    payment = Payment(account="acme", kind=EntryKind.PAYMENT, reference="1", made_at=0, amount=Decimal(5))
    await store.add(payment)
    await balances.refresh()
    assert told == [("acme", "5.00", account("acme").currency)]
    await store.add(Payment(account="acme", kind=EntryKind.PAYMENT, reference="2", made_at=0, amount=Decimal(1)))
    credit = balances.credits["acme"]
    credit.committed(Decimal(6), credit.seq + 1)  # as the recorder reports what it has booked
    await balances.refresh()
    assert len(told) == 1


def test_text_of_peers_that_is_not_utf_8_does_not_break_a_document():
    assert b"udcff" in document_of(call_ended(caller_in="\udcff"), "1")


def test_a_document_has_the_facts_in_the_order_in_which_they_were_logged():
    events = LiveEvents("sw1", ManualClock(), lambda _reporter: None)
    facts = {"gateway": "g1", "address": "192.0.2.1:5060", "rest_s": 30, "customer": "acme"}
    override = {
        "target": "account", "name": "acme", "setting": "overdraft_limit", "value": "5", "operator": "ann",
        "until": None, "memo": None, "why": "expired",
    }  # fmt: skip
    logged = [
        ("gateway_down", {"gateway": "g1"}),
        ("gateway_resting", facts),
        ("gateway_resting", {name: facts[name] for name in ("gateway", "address", "rest_s")}),
        ("gateway_well", {name: facts[name] for name in ("gateway", "address", "customer")}),
        ("balance_recovered", {"account": "acme"}),
        ("override_ended", override),
        ("configuration_loaded", {"catalogue": "v2"}),
    ]
    with events.followed() as follower:
        for name, each in logged:
            events.noted(name, each, AT)
        batch = follower.batch()
    for each, (_, told) in zip(batch.events, logged, strict=True):
        assert document_of(each, "1").endswith(b'"data":' + msgspec.json.encode(told) + b"}")
    assert msgspec.json.decode(msgspec.json.encode(batch), type=EventBatch) == batch


@pytest.mark.parametrize("renamed", [{"gate": "g1"}, {"gateway": "g1", "more": 1}, {}])
def test_a_fact_that_was_renamed_makes_no_event_and_is_not_read(renamed: dict[str, Any]):
    events = LiveEvents("sw1", ManualClock(), lambda _reporter: None)
    with events.followed() as follower:
        events.noted("gateway_down", renamed, AT)
        assert follower.batch().events == []
    sent = msgspec.json.encode({"events": [{"type": "gateway.down", "at": "", "data": renamed}], "left_out": 0})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(sent, type=EventBatch)


def test_each_type_of_event_has_one_class():
    of_types = [each.type for each in classes_of(LiveEvent) if hasattr(each, "type")]
    assert sorted(of_types) == sorted(EventType)
    assert all(each.type.value == each.__struct_config__.tag for each in classes_of(LiveEvent) if hasattr(each, "type"))


def classes_of(base: Any) -> list[Any]:
    return [found for each in base.__subclasses__() for found in (each, *classes_of(each))]
