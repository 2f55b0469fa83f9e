"""Trunks with names, routes, header rules and forms of numbers, and numbers of customers, through the real daemon."""

import json
from collections.abc import Iterator

import pytest
from doubles.daemon import Daemon
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer

from vosd.obs.events import Event

from .addresses import TRUNKS_SWITCH, VENDORS
from .stage import Stage, configuration


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("trunks")
    with Daemon(directory, configuration("trunks.yaml", TRUNKS_SWITCH)) as daemon:
        yield Stage(daemon, TRUNKS_SWITCH, Event.RELOAD_REFUSED)


def test_both_sides_of_a_call_see_the_switch_as_their_trunks_say(stage: Stage) -> None:
    callee = f"{stage.number('44')}000"
    with Peer(VENDORS["carrier-a"]) as vendor, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, callee)
        call.invite(["User-Agent: Desk/1", "X-Campaign: spring", "X-Internal: 7", "X-Route: trunk=42", "Subject: no",
                     "User-to-User: 3132;encoding=hex"])  # fmt: skip
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="v", headers=["X-Rate: 5", "Server: Carrier/2"], body=ANSWER)
        answer = call.answered()
        vendor.expect("ACK")
        assert call.hang_up().status == 200
        bye = vendor.expect("BYE")
        vendor.reply(bye, 200)
    assert invite.start_line == f"INVITE sip:+{callee}@sip.carrier.example;user=phone SIP/2.0"
    assert invite["Route"] == f"<sip:{VENDORS['carrier-a']};lr>"
    assert invite["From"].startswith("<sip:+12025550100@acme.example;user=phone>")
    assert invite["To"].startswith(f"<sip:+{callee}@sip.carrier.example;user=phone>")
    assert invite["Contact"] == f"<sip:trunk2@{TRUNKS_SWITCH}>"
    assert (invite["User-Agent"], bye["User-Agent"]) == ("Acme SBC", "Acme SBC")
    sent = {name: invite.every(name) for name in ("X-Campaign", "X-Internal", "X-Tenant", "X-Trunk", "User-to-User")}
    assert sent == {
        "X-Campaign": ["spring"], "X-Internal": [], "X-Tenant": ["acme"], "X-Trunk": ["42"],
        "User-to-User": ["3132;encoding=hex"],
    }  # fmt: skip
    assert invite.every("Subject") == []
    assert (answer["X-Rate"], answer["X-Carrier"], answer["Server"]) == ("5", "carrier-a", "Acme Desk")
    record = stage.record_of(callee)
    assert (record["caller_user_agent"], record["callee_user_agent"]) == ("Desk/1", "Carrier/2")
    assert record["did"] is None


def test_a_number_of_the_inventory_goes_to_its_trunk_and_a_free_one_nowhere(stage: Stage) -> None:
    with Peer(VENDORS["carrier-b"]) as pbx, Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, "44800")
        call.invite()
        invite = pbx.expect("INVITE", passing=("OPTIONS",))
        assert invite.start_line.startswith("INVITE sip:44800@")
        assert invite["P-Asserted-Identity"].startswith("<sip:12025550100@")
        pbx.reply(invite, 486, tag="p")
        pbx.expect("ACK", passing=("OPTIONS",))
        assert call.refused().status == 486
        free = OutgoingCall(customer, stage.address, "44801")
        free.invite()
        assert free.refused().status == 404
    assert stage.record_of("44800")["did"] == "44800"
    rows = json.loads(stage.daemon.succeed("did", "list", "--json"))
    assert [(row["number"], row["account"], row["rings"]) for row in rows] == [
        ("44800", "acme", "carrier-b"), ("44801", None, "")
    ]  # fmt: skip


def test_a_calling_number_of_another_form_is_refused(stage: Stage) -> None:
    with Peer(stage.endpoint_of("acme")) as customer:
        call = OutgoingCall(customer, stage.address, stage.number("44"), caller="7001")
        call.invite()
        assert call.refused().status == 403
