"""A test call takes the places that a customer's call to its gateway takes, and gives each of them back once."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER
from doubles.trial_scene import Trial
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, refuses

from vosd.billing.accounts import AccountType
from vosd.engine.calls.trial import GatewayBusyError
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

OWN, GROUP, VENDOR = (
    (LimitScope.ROUTING, "vendor-0"), (LimitScope.GROUP, "crowd"), (LimitScope.VENDOR, "carriers"),
)  # fmt: skip
GROUPS = frozenset({"crowd"})


def content(own=None, group=None, vendor=None):
    """Return a vendor whose gateway has limits of its own, of its group and of its account."""
    gateway = vendor_gateway(0, groups=GROUPS, response_timeout_ms=3_000, ring_timeout_ms=5_000, **(own or {}))
    return catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway],
        accounts=[account("carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None,
                          **{"max_concurrent": 9, **(vendor or {})})],
        groups=[GatewayGroup("crowd", frozenset({gateway.name}), **{"max_concurrent": 9, **(group or {})})],
    )  # fmt: skip


def taken(trial):
    """Return how many calls occupy the gateway, its group and its vendor, and how many have come in this second."""
    occupancy, now = trial.exchange.switch.live.occupancy, trial.exchange.clock.now().mono
    places = OWN, GROUP, VENDOR
    return [occupancy.active(*each) for each in places], [occupancy.recent(*each, now) for each in places]


@pytest.mark.parametrize(
    ("script", "order"),
    [
        (answers(500), {"talk_ms": 1_000}),
        (answers(500, hang_up_after_ms=500), {"talk_ms": 5_000}),
        (refuses(486), {}),
        (RINGS, {}),
        (SILENT, {}),
        (RINGS, {"is_ring_only": True}),
        (Script((Line(0, 180), Line(10, 200, ANSWER)), accepts_cancel=False), {"is_ring_only": True}),
    ],
    ids=["answered", "hung up", "refused", "no answer", "silent", "cancelled", "answered though cancelled"],
)
@pytest.mark.parametrize("charges_ringing", [False, True])
def test_it_has_a_place_of_each_while_it_lasts(script, order, charges_ringing):
    trial = Trial(script, content=content(), charges_ringing=charges_ringing, **order)
    trial.begin()
    assert taken(trial) == ([1, 1, 1], [1, 1, 1])
    trial.scene.wire.run_until(lambda: trial.call.is_over, within_ms=120_000)
    assert taken(trial)[0] == [0, 0, 0]
    trial.over()


@pytest.mark.parametrize("after_ms", [0, 300, 1_500])
@pytest.mark.parametrize("end", ["stop", "abandon", "drop"])
def test_it_gives_them_back_when_its_client_or_the_process_ends(end, after_ms):
    trial = Trial(answers(1_000), content=content(), talk_ms=30_000)
    trial.begin()
    trial.scene.wire.run_for(after_ms)
    getattr(trial.call, end)(trial.exchange.clock.now())
    trial.exchange.flush()
    trial.scene.wire.run_until(lambda: trial.call.is_over)
    assert taken(trial)[0] == [0, 0, 0]
    if end != "drop":
        trial.over()


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"own": {"max_concurrent": 1}}, "vendor-0"), ({"own": {"max_cps": 1}}, "vendor-0"),
        ({"group": {"max_concurrent": 1}}, "crowd"), ({"group": {"max_cps": 1}}, "crowd"),
        ({"vendor": {"max_concurrent": 1}}, "carriers"), ({"vendor": {"max_cps": 1}}, "carriers"),
    ],
)  # fmt: skip
def test_a_full_limit_refuses_it_and_counts_nothing_of_it(limits, name):
    trial = Trial(answers(500), content=content(**limits))
    trial.scene.caller.call(CALLEE, Intent(hang_up_after_ms=2_000))
    trial.scene.wire.run_for(10)
    trial.scene.vendor.script = answers(500)
    before = taken(trial)
    assert before[0] == [1, 1, 1]
    with pytest.raises(GatewayBusyError, match=f"{name} has reached its limit"):
        trial.begin()
    assert taken(trial) == before
    assert len(trial.scene.vendor.calls) == 1
    trial.scene.wire.run_for(5_000)
    assert taken(trial)[0] == [0, 0, 0]


def test_a_customers_call_finds_no_room_beside_it():
    trial = Trial(answers(500), content=content(group={"max_concurrent": 1}), talk_ms=20_000)
    trial.begin()
    trial.scene.caller.call(CALLEE)
    trial.scene.wire.run_for(1_000)
    (record,) = trial.exchange.sink.records
    assert (record.end_reason, record.routing_gateway) == ("No Available Route", None)


@pytest.mark.parametrize("fails", ["money", "journal"])
def test_a_call_that_is_not_begun_counts_nowhere(fails):
    trial = Trial(answers(500), content=content(), charges_ringing=True)
    if fails == "money":
        trial.exchange.credits["carriers"].set_terms(Decimal(0), None)
    else:
        trial.exchange.sink.takes_answers = False
    with pytest.raises(GatewayBusyError):
        trial.begin()
    assert taken(trial) == ([0, 0, 0], [0, 0, 0])
    assert trial.exchange.leftovers() == {}


def test_an_error_while_its_invite_is_written_holds_nothing(monkeypatch):
    trial = Trial(answers(500), content=content())

    def fail(*_):
        raise RuntimeError("no address")

    monkeypatch.setattr(trial.exchange.endpoint.flows, "towards", fail)
    with pytest.raises(RuntimeError):
        trial.begin()
    assert taken(trial)[0] == [0, 0, 0]
    assert trial.exchange.leftovers() == {}
    assert trial.call.is_over
