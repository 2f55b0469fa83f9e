"""Calls of trunks and accounts whose names are not ASCII go on in another process, as all others do."""

import dataclasses
from decimal import Decimal

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.journals import new_journal
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers
from msgspec.structs import replace

from vosd.engine.calls.gone import accounts_gone

OTHER = Endpoint("198.51.100.77", 5060)
LIMIT = Decimal(500)
NAMES = ["Zürich", "客户"]
USUAL = {"trunk": "acme", "customer": "acme", "vendor": "vendor-0", "carrier": "carriers"}
HOLDERS = [*USUAL, "agent"]
RESTARTS = ["kill", "kill after a change", "keep", "keep twice"]


def content_of(names):
    """Return a catalogue with these names of trunks and accounts, one of another trunk beside."""
    agent = names.get("agent")
    trunk = mapping_gateway(names["trunk"], f"{CUSTOMER.host}/32", account=names["customer"])
    other = mapping_gateway("other", f"{OTHER.host}/32", account=names["customer"])
    vendor = replace(vendor_gateway(0), name=names["vendor"], account=names["carrier"])
    agents = [] if agent is None else [account(agent, overdraft_limit=LIMIT)]
    customer = account(names["customer"], agent=agent, overdraft_limit=LIMIT)
    return catalogue([trunk, other, vendor], accounts=[customer, *agents])


def restart(scene, how):
    if how == "kill":
        scene.kill()
    else:
        for _ in range(2 if how == "keep twice" else 1):
            scene.stop_and_keep(then_ms=1_000)
    scene.wire.run_for(3_000)


@pytest.mark.parametrize("how", RESTARTS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_call_goes_on_whatever_its_trunks_and_accounts_are_called(tmp_path, holder, name, how):
    scene = KilledScene(tmp_path, content_of({**USUAL, holder: name}))
    call, there = scene.talk(script=answers())
    if how == "kill after a change":
        scene.propose(call, "a=sendonly", wait_ms=2_000)
        how = "kill"
    restart(scene, how)
    assert scene.lost == []
    assert not there.is_over
    assert scene.finish(call).end_reason == "Normal"


def test_a_call_that_rings_goes_on_beside_one_of_a_trunk_with_such_a_name(tmp_path):
    scene = KilledScene(tmp_path, content_of({**USUAL, "trunk": "客户"}))
    talking, _ = scene.talk(script=answers())
    scene.vendor.script = Script((Line(0, 180), Line(6_000, 200)))
    ringing = scene.exchange.caller(OTHER).call(CALLEE)
    scene.wire.run_for(2_000)
    scene.stop_and_keep()
    scene.wire.run_until(lambda: ringing.final is not None)
    assert ringing.final == 200
    assert scene.lost == []
    assert not talking.is_over


@pytest.mark.parametrize("moves", [False, True])
def test_an_account_with_such_a_name_that_is_gone_keeps_its_overdraft_limit(tmp_path, moves):
    content = content_of({**USUAL, "customer": "Zürich"})
    scene = KilledScene(tmp_path, content)
    call, _ = scene.talk(script=answers())
    if moves:
        scene.propose(call, "a=sendonly", wait_ms=2_000)
    scene.sink.journal.close()
    open_calls = new_journal(tmp_path).open().open_calls
    gone = accounts_gone(open_calls.values(), dataclasses.replace(content, accounts={}))
    assert gone["Zürich"].overdraft_limit == LIMIT
