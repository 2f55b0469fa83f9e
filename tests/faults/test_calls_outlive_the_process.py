"""kill -9 with calls in every state: the next start goes on with those that were answered."""

import signal
import socket
import time
from datetime import datetime
from decimal import Decimal

import pytest
from doubles.descriptor_store import DescriptorStore, take_descriptors
from doubles.journals import acknowledged_in
from e2e.conditions import eventually

from vosd.control.calls import MakeTestCall
from vosd.control.wire import request_line
from vosd.net.entrance import REPEATED_S

from .conftest import CONFIGURATION, TIMERS
from .test_legs_after_a_kill import RINGING, quiet


def test_calls_go_on_and_end_from_either_side_with_their_true_duration(stage):
    scene = stage()
    began = time.monotonic()
    scene.answered(4)
    answered = time.monotonic()
    journal = scene.daemon.directory / "var" / "journal"
    eventually(lambda: len(acknowledged_in(journal)) == 4, "calls that were marked as acknowledged")
    scene.daemon.kill()
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 4
    first, second, third, fourth = scene.customer.answered
    hung_up = time.monotonic()
    for call in (first, second):
        scene.customer.hang_up(call)
    for call in (third, fourth):
        scene.vendor.hang_up(call.number)
    eventually(lambda: first.bye_status == second.bye_status == 200, "the callers' BYEs are answered")
    eventually(quiet(scene), "nothing is left")
    ended = time.monotonic()
    records = eventually(lambda: len(found := scene.records()) == 4 and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    assert sorted(record["hangup_source"] for record in records) == ["callee"] * 2 + ["caller"] * 2
    least, most = 1_000 * (hung_up - answered) - 5, 1_000 * (ended - began) + 5  # clocks are cut to the millisecond
    assert all(least <= record["hold_time_ms"] <= most for record in records)
    scene.daemon.succeed("ledger", "verify")


def test_a_caller_that_has_not_heard_its_answer_gets_it_at_the_start_and_pays_from_when_it_was_answered(stage):
    """Nothing that is left says whether the 200 had left. The INVITE that comes again makes no second call."""
    scene = stage(configuration=CONFIGURATION.replace(TIMERS, "{}"))
    call = scene.customer.call("4490001", acknowledges=False)
    eventually(lambda: call.answer is not None, "the answer")
    answered = time.monotonic()
    scene.daemon.kill()
    call.statuses.clear()
    call.is_acknowledged = True
    killed = time.monotonic()
    scene.daemon.start()
    scene.customer.call_again(call)
    eventually(lambda: 200 in call.statuses, "the answer again")
    hung_up = time.monotonic()
    scene.customer.hang_up(call)
    [record] = eventually(scene.records, "the record")
    assert (record["end_reason"], len(scene.vendor.invites)) == ("Normal", 1)
    assert record["hold_time_ms"] >= 1_000 * (hung_up - answered) - 5
    times = [datetime.fromisoformat(record[name]) for name in ("answered_at", "acknowledged_at")]
    assert (times[1] - times[0]).total_seconds() >= killed - answered
    scene.daemon.succeed("ledger", "verify")


def keeping(stage, answered: int, timers: str = TIMERS):
    """Start a switch that keeps its calls on SIGTERM; return it with answered calls, and one more that rings."""
    scene = stage(configuration=f"{CONFIGURATION.replace(TIMERS, timers)}on_sigterm: keep\n")
    scene.vendor.behaviours = {RINGING: "rings"}
    scene.answered(answered)
    ringing = scene.customer.call(RINGING)
    eventually(lambda: 180 in ringing.statuses, "a call that rings")
    return scene, ringing


def test_a_stop_that_keeps_calls_takes_none_from_them(stage):
    """Answered and ringing calls alike; the second start finds them as the first one left them."""
    scene, ringing = keeping(stage, answered=3)
    for _ in range(2):
        scene.daemon.signal(signal.SIGTERM)
        assert scene.daemon.wait() == 0
        scene.daemon.start()
        assert scene.daemon.ask("status")["calls"] == 4
    assert not scene.vendor.counted("BYE") + scene.vendor.counted("CANCEL") + scene.customer.counted("BYE")
    [call_id] = [each for each, invite in scene.vendor.invites.items() if RINGING in invite.start_line]
    scene.vendor.answer(call_id)
    eventually(lambda: ringing.answer is not None, "the call that rang is answered")
    for call in scene.customer.answered[:2]:
        scene.customer.hang_up(call)
    for call in scene.customer.answered[2:]:
        scene.vendor.hang_up(call.number)
    eventually(quiet(scene), "nothing is left")
    records = eventually(lambda: len(found := scene.records()) == 4 and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    scene.daemon.succeed("ledger", "verify")


@pytest.mark.parametrize("callee", ["44777", "44778"], ids=["that talks", "that rings"])
def test_a_test_call_ends_with_the_process_and_voids_nothing_that_is_kept(stage, tmp_path, callee):
    """Its client is there until the switch has stopped."""
    scene, ringing = keeping(stage, answered=1)
    scene.vendor.behaviours["44778"] = "rings"
    with socket.socket(socket.AF_UNIX) as operator:
        operator.connect(str(tmp_path / "vosd.sock"))
        operator.sendall(request_line(MakeTestCall(via="carrier", callee=callee, talk_s=60)))
        last = b"ACK" if callee == "44777" else b"180 "
        said = b""
        while last not in said:
            said += operator.recv(65_536)
        scene.daemon.signal(signal.SIGTERM)
        assert scene.daemon.wait() == 0
    [test_call] = [each for each, invite in scene.vendor.invites.items() if callee in invite.start_line]
    ended = scene.vendor.counted("BYE") if callee == "44777" else scene.vendor.counted("CANCEL")
    assert ended == {test_call: 1}
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 2
    [call_id] = [each for each, invite in scene.vendor.invites.items() if RINGING in invite.start_line]
    scene.vendor.answer(call_id)
    eventually(lambda: ringing.answer is not None, "the call that rang is answered")
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(quiet(scene), "nothing is left")
    answered = 3 if callee == "44777" else 2
    records = eventually(lambda: len(found := scene.records()) == answered and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    assert [record["callee_in"] for record in records if record["customer_account"] is None] == [callee] * (
        answered - 2
    )
    scene.daemon.succeed("ledger", "verify")


def test_a_start_that_fails_leaves_ringing_calls_to_the_next_one(stage):
    """So does one that is stopped before it is through: both have taken over the calls already."""
    scene, ringing = keeping(stage, answered=2)
    scene.daemon.signal(signal.SIGTERM)
    assert scene.daemon.wait() == 0
    left = time.monotonic()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(scene.switch)
        scene.daemon.start(wait=False)
        assert scene.daemon.wait() != 0, "its port was taken"
    away_ms = 1_000 * (time.monotonic() - left)
    scene.daemon.start()
    assert scene.daemon.ask("status")["calls"] == 3
    [call_id] = [each for each, invite in scene.vendor.invites.items() if RINGING in invite.start_line]
    scene.vendor.answer(call_id)
    eventually(lambda: ringing.answer is not None, "the call that rang is answered")
    assert [kept["calls"] for kept in scene.events("calls_kept")] == [3, 3]
    assert scene.events("calls_continued")[-1]["away_ms"] > away_ms, "a start that has served no call does not count"


def test_what_arrives_while_the_switch_is_away_waits_in_sockets_that_the_service_manager_keeps(
    stage, tmp_path, monkeypatch
):
    """The parties repeat nothing: a request that was lost would have no response."""
    with DescriptorStore(tmp_path) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        both = CONFIGURATION.replace('["udp:$switch"]', '["udp:$switch", "tcp:$switch"]')
        scene = stage(configuration=both, prepare=take_descriptors)
        began = time.monotonic()
        scene.answered(2)
        assert len(store.kept) == 2, scene.daemon.log()
        scene.daemon.kill()
        first, second = scene.customer.answered
        scene.customer.hang_up(first)
        scene.vendor.hang_up(second.number)
        hung_up = time.monotonic()
        given_up = scene.customer.call("44779")
        with socket.create_connection(scene.switch) as waiting:
            eventually(lambda: time.monotonic() - hung_up > REPEATED_S, "a caller that is still there would call again")
            scene.daemon.start()
            eventually(lambda: first.bye_status == 200, "the BYE that waited is answered")
            waiting.sendall(b"\r\n\r\n")
            waiting.settimeout(60)
            assert waiting.recv(2) == b"\r\n", "a connection that waited is served"
        records = eventually(lambda: len(found := scene.records()) == 2 and found, "the records")
        assert sorted(record["hangup_source"] for record in records) == ["callee", "caller"]
        assert {record["end_reason"] for record in records} == {"Normal"}
        assert all(record["hold_time_ms"] < 1_000 * (hung_up - began) for record in records)
        assert (given_up.statuses, len(scene.vendor.invites)) == ([], 2), "nothing is set up for an INVITE of before"
        scene.daemon.interrupt()
        eventually(lambda: store.kept == {}, "a stop that ends calls gives the sockets back")


def test_calls_of_trunks_and_accounts_that_have_left_the_configuration_are_billed_as_they_were_made(stage):
    """Both are gone from the file at the next start: the calls are ended and paid for as if it were not."""
    prepaid = CONFIGURATION.replace('overdraft_limit: "1000"', 'overdraft_limit: "0"')
    scene = stage(configuration=prepaid)
    scene.daemon.succeed("payment", "add", "--account", "acme", "--amount", "10")
    scene.answered(2)
    first, second = scene.customer.answered
    scene.daemon.kill()
    text = scene.daemon.configuration_file.read_text()
    for before, after in {"acme-pbx": "new-pbx", "acme": "new", "carrier": "newcomer"}.items():
        text = text.replace(before, after)
    scene.daemon.configuration_file.write_text(text.replace(str(scene.vendor.peer.address), "127.0.0.9:5070"))
    scene.daemon.start()
    assert [line["accounts"] for line in scene.events("calls_of_former_accounts")] == [["acme", "carrier"]]
    scene.customer.hang_up(first)
    scene.vendor.hang_up(second.number)
    eventually(quiet(scene), "nothing is left")
    records = eventually(lambda: len(found := scene.records()) == 2 and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    assert sorted(record["hangup_source"] for record in records) == ["callee", "caller"]
    for record in records:
        assert (record["mapping_gateway"], record["routing_gateway"]) == ("acme-pbx", "carrier")
        assert (record["customer_account"], record["vendor_account"]) == ("acme", "carrier")
        assert record["billed_seconds"] > 0
        assert Decimal(record["fee"]) == Decimal(record["billed_seconds"]) / 100
        assert Decimal(record["cost"]) == Decimal(record["vendor_billed_seconds"]) / 200
    scene.daemon.succeed("ledger", "verify")
